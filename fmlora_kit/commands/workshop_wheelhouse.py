"""A folder for a memory stick: wheels, students' notebooks, and a program that installs both.

pip reads the markers of a requirement ("only on Windows") for the machine that it runs on. A folder
for other machines therefore needs the list of packages first: it is read from what is installed
here, with their markers, and with the versions that requirements.txt pins.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from fmlora_kit.commands import workshop_build, workshop_install
from fmlora_kit.commands.lab import find_notebooks

ROOT = Path(__file__).parents[2]
TORCH = ("torch", "torchvision")
CUDA = re.compile(r"nvidia-|cuda-|triton")  # torch for Linux without CUDA asks for none of them
HERE = {"linux": "linux", "darwin": "macos", "win32": "windows"}
# By platform: what markers see of it, and the tags of wheels that it takes, the newest first.
MARKERS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
MACHINES = {"linux": "x86_64", "macos": "arm64", "windows": "AMD64"}
TAGS = {
    "linux": [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
    + ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"],
    "macos": ["macosx_14_0_arm64"],
    "windows": ["win_amd64"],
}
NO_SOURCE = "a wheelhouse is made in a checkout of fmlora_kit's source, got an installed package"


def fill(folder: Path, platforms: Sequence[str] | None, python: str, torch_index: str) -> str:
    """Fill the folder; return in one line what is in it.

    Args:
        folder: new or empty.
        platforms: among "linux", "macos" and "windows"; None: that of this machine.
        python: version of the Python on the laptops, such as "3.12".
        torch_index: where pip finds a torch for Linux without CUDA; "none": take PyPI's.

    Raises:
        ValueError: the folder is not empty, or this is no checkout.
        RuntimeError: pip could not get a package; what it said stands above.
    """
    if not (ROOT / "requirements.txt").is_file():
        raise ValueError(NO_SOURCE)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"--out must be a new or an empty folder, got {str(folder)!r}")
    platforms = platforms or (HERE[sys.platform],)
    wheels, notebooks = folder / "wheels", find_notebooks()
    _pip("wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    for platform in platforms:
        cpu = platform != "linux" or torch_index != "none"
        listed = packages(platform, python, pins(), cpu=cpu)
        apart = [line for line in listed if cpu and line.partition("==")[0] in TORCH]
        where = ["--index-url", torch_index] if platform == "linux" else []
        _download(wheels, platform, python, [line for line in listed if line not in apart])
        if apart:
            _download(wheels, platform, python, apart, where)
    workshop_build.build(
        sorted((notebooks / "workshop").glob("*.ipynb")), folder / "notebooks/workshop"
    )
    numbered = sorted(notebooks.glob("[0-9]*.ipynb"))
    workshop_build.build(numbered, folder / "notebooks", workshop_build.for_reading)
    shutil.copy(workshop_install.__file__, folder / "install.py")
    shutil.copy(notebooks / "workshop" / "SETUP.md", folder)
    made_for = {"python": python, "platforms": list(platforms)}
    (folder / "made_for.json").write_text(json.dumps(made_for), encoding="utf-8")
    sizes = [path.stat().st_size for path in wheels.iterdir()]
    what = f"{len(sizes)} wheels for Python {python} on {', '.join(platforms)}"
    return f"{folder}: {what}, {sum(sizes) / 1e9:.2f} GB, with the notebooks and install.py"


def packages(platform: str, python: str, pinned: dict[str, str], *, cpu: bool = True) -> list[str]:
    """What the kit and its notebooks need on a platform, such as ``numpy==2.4.6``, sorted.

    What has no pin has the version that is installed here, or bounds if only that platform has it.
    """
    from packaging.markers import default_environment
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    target = {**default_environment(), **MARKERS[platform], "platform_machine": MACHINES[platform]}
    target |= {"python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, str] = {}
    seen: set[tuple] = set()
    todo = [Requirement("fmlora_kit[notebooks]")]
    while todo:
        asked = todo.pop()
        name, extras = canonicalize_name(asked.name), tuple(sorted(asked.extras))
        if (name, extras) in seen or (cpu and CUDA.match(name)):
            continue
        seen.add((name, extras))
        try:
            needs = map(Requirement, metadata.requires(name) or ())
        except metadata.PackageNotFoundError:  # of another platform
            found[name] = f"{name}{pinned.get(name, asked.specifier)}"
            continue
        found[name] = name + pinned.get(name, f"=={metadata.version(name)}")
        todo += [
            each
            for each in needs
            if each.marker is None
            or any(each.marker.evaluate({**target, "extra": extra}) for extra in ("", *extras))
        ]
    del found["fmlora-kit"]
    return [found[name] for name in sorted(found)]


def pins() -> dict[str, str]:
    """Every ``==version`` of requirements.txt, by the name of the package."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(==[0-9.]+)", text, re.MULTILINE))


def _download(
    wheels: Path, platform: str, python: str, listed: Iterable[str], where: Sequence[str] = ()
) -> None:
    tags = [word for tag in TAGS[platform] for word in ("--platform", tag)]
    which = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    _pip("download", "--no-deps", "--dest", wheels, *which, *tags, *where, *listed)


def _pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, words), "--disable-pip-version-check"]
    if status := subprocess.call([*command, "--quiet"]):
        raise RuntimeError(f"pip {words[0]} ended with status {status}; its reason stands above")
