"""The front door: ``python -m fmlora_kit COMMAND``."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "demo": "commands.demo",
    "compare": "commands.compare",
    "train": "commands.train",
    "data": "commands.data",
    "bench": "commands.bench",
    "ablation": "commands.ablation",
    "site": "pages.notebooks",
}


def main() -> int | None:
    """Run the named program with the arguments after its name."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"command must be one of {', '.join(COMMANDS)}; got {name!r}", file=sys.stderr)
        return 2
    return import_module(f"fmlora_kit.{COMMANDS[name]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
