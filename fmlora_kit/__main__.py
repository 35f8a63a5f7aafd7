"""The front door: ``fmlora COMMAND``, which is ``python -m fmlora_kit COMMAND``.

``fmlora --with FILE COMMAND`` first imports a Python file, which registers methods of one's own.

A command is imported when it is run, so that the list of commands needs neither torch nor time.
Whatever goes wrong in it is told in one line and by the exit status: 1 if it failed, 2 for bad
arguments, 130 after Ctrl-C. ``python -X dev -m fmlora_kit`` shows the whole traceback instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from fmlora_kit import __version__
from fmlora_kit.commands.arguments import one_line, suggest

# Command -> its module, and what it does.
COMMANDS = {
    "demo": ("commands.demo", "train FM-LoRA and two others on one stream; make a page of it"),
    "lab": ("commands.lab", "open the notebooks in JupyterLab"),
    "workshop": ("commands.workshop", "check a laptop; make what students get in an afternoon"),
    "compare": ("commands.compare", "every method on several streams, over several seeds"),
    "train": ("commands.train", "one run of one method into a folder"),
    "data": ("commands.data", "real images: list, show, check, or make up what there is"),
    "bench": ("commands.bench", "time a training step of every method, and of PEFT's LoRA"),
    "gpu": ("commands.gpu", "what a GPU has to show: precision, resume, speed, hours"),
    "ablation": ("commands.ablation", "what each part of FM-LoRA is worth"),
    "site": ("commands.site", "offline pages of the notebooks, and pictures of figures"),
    "pretrain": ("commands.pretrain", "train an embedded backbone again: glyph_vit or photo_vit"),
    "test": ("commands.check", "lint, tests and notebooks, as make test does"),
}
# These keep every finished task, so that the same command goes on where it was.
KEEP_RECORDS = ("demo", "compare", "train", "ablation")
EXPECTED = (ValueError, OSError, ImportError, RuntimeError, ArithmeticError)  # others are bugs
EXAMPLE = "fmlora demo --methods fmlora,sequential_lora --out build/demo"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that comes first, with the arguments after it; return the exit status."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console of Windows may lack ± and Greek letters
            stream.reconfigure(errors="replace")
    if name == "--with":
        if len(rest) < 2:
            print("fmlora: error: --with must be followed by FILE COMMAND", file=sys.stderr)
            return 2
        file, name, *rest = rest
        if status := _guard("--with", lambda: _import(file)):
            return status
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name in ("-V", "--version"):
        print(f"fmlora_kit {__version__}")
        return 0
    if name not in COMMANDS:
        near = suggest(name, COMMANDS) or "; fmlora --help lists them"
        print(
            f"fmlora: error: command must be a known one, got {name[:80]!r}{near}", file=sys.stderr
        )
        return 2
    return _run(name, rest)


def overview() -> str:
    """The screen of ``fmlora --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: fmlora COMMAND [options]   (or: python -m fmlora_kit COMMAND [options])",
            "",
            "Train FM-LoRA for continual learning, record it, and see what it forgets.",
            "",
            *lines,
            "",
            "fmlora COMMAND --help tells its options; fmlora --version the version.",
            "fmlora --with FILE COMMAND first imports a file that registers your own methods.",
            "",
            "example:",
            f"  {EXAMPLE}",
        ]
    )


def _run(name: str, arguments: Sequence[str]) -> int:
    return _guard(name, lambda: import_module(f"fmlora_kit.{COMMANDS[name][0]}").main(arguments))


def _import(file: str) -> None:
    """Import a file by its name, as processes that run its methods will: by their own, too."""
    path = Path(file).resolve()
    if not path.is_file() or not path.stem.isidentifier() or path.suffix != ".py":
        raise ValueError(f"FILE must be a Python file whose name is a module's, got {file!r}")
    sys.path.insert(0, str(path.parent))
    module = import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path:
        raise ValueError(f"FILE must not be named like another module, got {file!r}")


def _guard(name: str, act: Callable[[], int | None]) -> int:
    """Do it, and return its exit status; what goes wrong is told in one line."""
    try:
        return act() or 0
    except KeyboardInterrupt:
        again = "; the same command goes on where it was" * (name in KEEP_RECORDS)
        print(f"\nfmlora {name}: stopped{again}", file=sys.stderr)
        return 130
    except EXPECTED as error:
        if sys.flags.dev_mode:
            raise
        print(f"fmlora {name}: error: {one_line(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
