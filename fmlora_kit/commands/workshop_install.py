"""Install the workshop from this folder, without a network: ``python install.py [FOLDER]``.

It makes a folder of your own with an environment (.venv) and the notebooks, and then tries it. Run
it again if it was interrupted: your notebooks stay as they are.
"""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
LEAST, UNPACKED = 1, 2.5  # gigabytes; how much larger an environment is than its wheels
PLATFORMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}


def main(arguments):
    """Install; return 0, or say in one line what is wrong and return its status."""
    target = Path(arguments[0] if arguments else Path.home() / "fmlora-workshop")
    wrong = obstacle(target)
    if wrong:
        print(f"install.py: {wrong}", file=sys.stderr)
        return 1
    try:
        program = install(target)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"install.py: it could not be installed into {target}: {error}", file=sys.stderr)
        return 1
    return try_it(target, program)


def obstacle(target):
    """Why it cannot be installed here, or None."""
    made_for = json.loads((HERE / "made_for.json").read_text(encoding="utf-8"))
    version = "{}.{}".format(*sys.version_info)
    if version != made_for["python"]:
        wanted = made_for["python"]
        return f"must be run by Python {wanted}, got {version}: install Python {wanted} first"
    platform = PLATFORMS.get(sys.platform, sys.platform)
    if platform not in made_for["platforms"]:
        return f"was made for {', '.join(made_for['platforms'])}, got {platform}: ask for another"
    place = next(each for each in (target, *target.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(place).free / 1e9
    packed = sum(wheel.stat().st_size for wheel in HERE.glob("wheels/*.whl")) / 1e9
    room = max(LEAST, UNPACKED * packed)
    if free < room and not (target / ".venv").exists():
        return f"the disk of {place} must have {room:.1f} GB free, got {free:.1f} GB"
    return None


def install(target):
    """Make the environment and copy the notebooks; return the path of the program fmlora."""
    print(f"Installing into {target}; that takes some minutes.", flush=True)
    environment = target / ".venv"
    venv.create(environment, with_pip=True)
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "--isolated", "install", "--no-index", "--quiet"]
    wheels = ["--find-links", str(HERE / "wheels"), "--disable-pip-version-check"]
    subprocess.check_call([*pip, *wheels, "fmlora_kit[notebooks]"])
    for source in sorted((HERE / "notebooks").rglob("*.ipynb")):
        copy = target / source.relative_to(HERE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            shutil.copy(source, copy)
    return programs / "fmlora"


def try_it(target, program):
    """Run the check; say how to begin."""
    status = subprocess.call([str(program), "workshop", "check", "--folder", str(target)])
    if not status:
        print(f"Begin with:\n  cd {target}\n  {program} lab w1")
        print(f"Ask again whether it is ready:\n  {program} workshop check")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
