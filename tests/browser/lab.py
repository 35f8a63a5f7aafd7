"""A real JupyterLab, driven in a real browser: start it, run a notebook, press keys, read figures.

The server has its own configuration and data folders and runs on a copy of the notebooks, so a test
changes nothing of the person who runs it. The page may talk to this server only: every other
request is stopped and written down.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from fmlora_kit.commands.lab import LOOK

SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    # Otherwise cells that are out of sight are not in the page.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
NO_BUILD = {"buildCheck": False, "buildAvailable": False}  # the check takes seconds, in node
PATIENCE = 900  # seconds; only against what hangs
LAPTOP = {"width": 1300, "height": 1000}  # pixels

READY = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    return panel?.context?.isReady && panel.sessionContext.isReady
        && panel.sessionContext.session?.kernel?.status === "idle";
}"""
# Not awaited: what goes wrong has to come back as well, and while it runs there is more to do.
RUN = """places => {
    const notebook = jupyterapp.shell.currentWidget.content;
    const code = notebook.widgets.filter(cell => cell.model.type === "code");
    const chosen = places === null ? notebook.widgets : places.map(place => code[place]);
    window.ran = undefined;
    notebook.deselectAll();
    notebook.activeCellIndex = notebook.widgets.indexOf(chosen[0]);
    chosen.forEach(cell => notebook.select(cell));
    jupyterapp.commands.execute("notebook:run-cell").then(
        () => { window.ran = "finished"; }, error => { window.ran = String(error); });
}"""
ASK = """async (code) => {
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
    const future = kernel.requestExecute({ code, store_history: false });
    let text = "";
    future.onIOPub = ({ content }) => {
        text += content.text ?? content.traceback?.join("\\n") ?? "";
    };
    return [(await future.done).content.status, text];
}"""
CELLS = """() => jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === "code")
    .map(cell => ({ source: cell.model.sharedModel.getSource(),
                    outputs: cell.model.outputs.toJSON() }))"""
# Plotly's data as plain lists, in whatever form the page holds it.
FIGURES = """(places) => {
    const types = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array,
                    u4: Uint32Array, f4: Float32Array, f8: Float64Array };
    const shaped = (flat, shape) => shape.length < 2 ? flat : Array.from({ length: shape[0] },
        (_, k) => shaped(flat.slice(k * flat.length / shape[0], (k + 1) * flat.length / shape[0]),
                         shape.slice(1)));
    const plain = value => {
        if (ArrayBuffer.isView(value)) return Array.from(value, plain);
        if (Array.isArray(value)) return value.map(plain);
        if (value === null || typeof value !== "object")
            return typeof value === "number" && !isFinite(value) ? null : value;
        if ("bdata" in value) {
            const bytes = Uint8Array.from(atob(value.bdata), c => c.charCodeAt(0));
            const flat = Array.from(new types[value.dtype](bytes.buffer), plain);
            return shaped(flat, String(value.shape ?? flat.length).split(",").map(Number));
        }
        return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("_"))
            .map(([key, entry]) => [key, plain(entry)]));
    };
    return places.filter(place => place.data).map(place => (
        { data: plain(place.data), title: place.layout.title?.text ?? "" }));
}"""


def copy_notebooks(source: Path, target: Path) -> Path:
    """Copy the notebooks; what else lies there, such as records, is left out."""
    target.mkdir(parents=True)
    for notebook in source.glob("*.ipynb"):
        shutil.copy(notebook, target)
    return target


class Lab:
    """A JupyterLab server on a free port of this machine; its kernels are this Python.

    Args:
        notebooks: the folder that it serves.
        scratch: an empty folder for everything that it writes itself, with its log.
    """

    def __init__(self, notebooks: Path, scratch: Path):
        self.notebooks = notebooks
        self.token = secrets.token_hex(24)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.log = scratch / "jupyterlab.log"
        settings = scratch / "config" / "labconfig" / "default_setting_overrides.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS))
        with self.log.open("w") as log:
            self._server = subprocess.Popen(
                self._command(notebooks),
                cwd=notebooks,
                env=self._environment(scratch),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def stop(self) -> None:
        """Shut the server and its kernels down."""
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _command(self, notebooks: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.url.rpartition(':')[2]}"),
            *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={notebooks}"),
            *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
            "--LabApp.custom_css=True",
            f"--ServerApp.tornado_settings={LOOK | {'page_config_data': NO_BUILD}}",
        ]

    def _environment(self, scratch: Path) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTEST_"))}
        return kept | {
            "JUPYTER_TOKEN": self.token,
            "JUPYTER_CONFIG_DIR": str(scratch / "config"),
            "JUPYTER_DATA_DIR": str(scratch / "data"),
            "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
            "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not of the user
            "IPYTHONDIR": str(scratch / "ipython"),
            "OMP_NUM_THREADS": "1",
        }

    def _wait(self) -> None:
        ask = Request(f"{self.url}/api/status", headers={"Authorization": f"token {self.token}"})
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._server.poll() is None:
            try:
                with urlopen(ask, timeout=5):
                    return
            except (URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-3000:]}")


class NotebookPage:
    """A notebook opened in JupyterLab, with a kernel that has just started.

    Args:
        browser: of playwright.
        lab: the server.
        name: of the notebook's file.

    Attributes:
        page: of playwright.
        requests: addresses outside the server that the page asked for; all were refused.
        errors: what the page wrote to the console as an error, and exceptions nobody caught.
    """

    def __init__(self, browser, lab: Lab, name: str):
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._context = browser.new_context(viewport=LAPTOP, service_workers="block")
        self._context.set_default_timeout(1000 * PATIENCE)
        self._context.request.get(f"{lab.url}/lab?token={lab.token}")  # leaves a cookie
        self._context.route(re.compile(rf"^(?!{lab.url}/|data:|blob:)"), self._refuse)
        self.page = self._context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", lambda socket: self._websocket(lab, socket.url))
        workspace = Path(name).stem  # one of its own, in which nothing else is open
        self.page.goto(f"{lab.url}/lab/workspaces/{workspace}/tree/{name}")
        self.page.wait_for_function(READY)
        self.page.evaluate("jupyterapp.shell.collapseLeft()")

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        self.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self._context.close()

    def start(self, places: Iterable[int] | None = None) -> None:
        """Begin to run all cells, or the code cells at these places, counted from 0."""
        self.page.evaluate(RUN, places and list(places))

    def wait(self) -> None:
        """Wait until all cells have run.

        Raises:
            AssertionError: a cell ended in an error.
        """
        self.page.wait_for_function("() => window.ran")
        for cell in self.cells():
            for output in cell["outputs"]:
                text = "\n".join(output.get("traceback", ()))
                assert output["output_type"] != "error", f"{cell['source']}\n{text}"
        assert self.page.evaluate("window.ran") == "finished"

    def ask(self, code: str) -> str:
        """Run code in the notebook's kernel; return what it printed.

        Raises:
            AssertionError: it ended in an error.
        """
        status, text = self.page.evaluate(ASK, code)
        assert status == "ok", text
        return text

    def cells(self) -> list[dict]:
        """Source and outputs of the code cells, as they are now."""
        return self.page.evaluate(CELLS)

    def shown(self, place: int) -> dict[str, list]:
        """What a code cell's output shows: `figures`, each with `data` and `title`, and `texts`.

        Args:
            place: of the cell among the code cells, from 0.
        """
        cell = self.cell(place)
        texts = cell.locator(".widget-html-content").all_inner_texts()
        return {
            "figures": cell.locator(".js-plotly-plot").evaluate_all(FIGURES),
            "texts": [" ".join(text.split()) for text in texts],
        }

    def cell(self, place: int):
        """The locator of a code cell by its place among them, from 0."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(place)

    def _refuse(self, route) -> None:
        self.requests.append(route.request.url)
        route.abort()

    def _console(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _websocket(self, lab: Lab, url: str) -> None:
        if not url.startswith(lab.url.replace("http", "ws", 1)):
            self.requests.append(url)
