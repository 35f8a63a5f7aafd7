"""Put a small picture and a sentence beside each figure and dashboard of stored notebooks.

    fmlora site --pictures            (a part of make notebooks; needs a Chromium)

GitHub, nbviewer, a plain nbconvert and a mail show these; JupyterLab goes on showing the live
figure. The picture is a JPEG because JupyterLab's plotly extension would take a PNG for the figure
itself, and keep it until a mouse comes. Widgets are read from the state that nbconvert leaves in
the notebook: this comes before nbstripout takes it away.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from bs4 import BeautifulSoup
from nbformat import NotebookNode

from fmlora_kit.commands.pages.notebooks import PICTURE, PLOTLY_JS, RUN_IT, WIDGET, bare
from fmlora_kit.figures.show import PLOTLY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = 900, 1200  # pixels, of one figure (as wide as GitHub shows it), and of two side by side
QUALITY = 70  # of the JPEG
STATE = "application/vnd.jupyter.widget-state+json"
_PAGE = '<body style="margin: 0; display: grid; background: white">'
_DRAW = """([stills, columns]) => {
    document.body.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    return Promise.all(stills.map(still => {
        const place = document.body.appendChild(document.createElement("div"));
        return Plotly.newPlot(place, still);
    }));
}"""


def add_pictures(paths: Sequence[Path], browser: Browser) -> int:
    """Write the notebooks anew with a picture beside each figure; return how many there are."""
    page = browser.new_page(offline=True)
    n = 0
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        n += _add(notebook, page)
        nbformat.write(notebook, path)
    page.close()
    return n


def _add(notebook: NotebookNode, page: Page) -> int:
    """Draw what each output shows; return how many pictures that are."""
    state = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    n = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if PLOTLY in data:
                figures, words = [data], data.get("text/plain", "")
            elif WIDGET in data:
                figures, words = _opened(state, data[WIDGET]["model_id"])
                name = re.match(r"(\w+)\(", data.get("text/plain", ""))
                if words and name:  # else it is a progress bar, which has done its work
                    begin = f"{name[1]}{RUN_IT} " if figures else ""  # a question says what it is
                    data["text/plain"] = begin + words
            else:
                continue
            if figures:
                shown = [bare(each[PLOTLY]) for each in figures]
                data[PICTURE] = b64encode(draw(shown, page)).decode()
                output.metadata[PICTURE] = {"of": fingerprint(shown)}
                n += 1
    return n


def fingerprint(figures: Sequence[dict]) -> str:
    """Of what a picture shows, to notice one that is out of date."""
    text = json.dumps(figures, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def draw(figures: Sequence[dict], page: Page) -> bytes:
    """One figure, or several in two columns, as a JPEG."""
    columns = min(2, len(figures))
    heights = [int(figure["layout"].get("height", 450)) for figure in figures]
    rows = [max(heights[k : k + columns]) for k in range(0, len(heights), columns)]
    page.set_viewport_size({"width": WIDTHS[columns - 1], "height": sum(rows)})
    page.set_content(_PAGE)
    page.add_script_tag(path=PLOTLY_JS)
    stills = [figure | {"config": {"staticPlot": True}} for figure in figures]
    page.evaluate(_DRAW, [stills, columns])
    return page.screenshot(type="jpeg", quality=QUALITY)


def _opened(state: dict, model: str) -> tuple[list[dict], str]:
    """The figures that a widget shows at first, and what stands in it, in words."""
    figures, texts = [], []
    for part in _parts(state, model):
        outputs = [each.get("data", {}) for each in part.get("outputs", ())]
        shown = [each for each in outputs if PLOTLY in each]
        figures += shown
        texts += [each.get("text/plain", "") for each in shown]
        name = part.get("_model_name")
        if name == "HTMLModel":
            texts.append(BeautifulSoup(part["value"], "html.parser").get_text(" ", strip=True))
        elif name == "ToggleButtonsModel":
            texts.append(" / ".join(part["_options_labels"]))
        elif name == "ButtonModel" and part.get("description"):
            texts.append(f"[{part['description']}]")
    return figures, " ".join(" ".join(texts).split())


def _parts(state: dict, model: str) -> Iterator[dict]:
    """A widget's model and those of all its children, in their order on the page."""
    own = state.get(model, {}).get("state", {})
    yield own
    for child in own.get("children", ()):
        yield from _parts(state, child.removeprefix("IPY_MODEL_"))
