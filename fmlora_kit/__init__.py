"""fmlora_kit: train FM-LoRA task by task, record it, and see what low-rank continual learning does.

Rooms, in the order that data flows: `streams`, `backbones`, `adapters`, `methods`, `training`,
`record`, `analysis`, `figures`, `widgets`. Rooms right of the record need no torch; they are
imported when used. `probes` take a live model and hand plain arrays on to the analysis,
`interchange` exchanges models with PEFT and timm, `commands` are the programs and the pages they
write, `workshop` teaches with all of these.
"""

from __future__ import annotations

from importlib import import_module

_ROOMS = (
    "adapters",
    "analysis",
    "backbones",
    "figures",
    "interchange",
    "methods",
    "probes",
    "record",
    "streams",
    "training",
    "widgets",
    "workshop",
)
_NAMES = {
    "Budget": "training",
    "CODAPrompt": "methods",
    "DMP": "methods",
    "DRS": "methods",
    "DualPrompt": "methods",
    "EWCLoRA": "methods",
    "FLoRA": "methods",
    "FMLoRA": "methods",
    "FirstTaskLoRA": "methods",
    "FrozenBackbone": "methods",
    "FullFinetuning": "methods",
    "HiDePrompt": "methods",
    "InfLoRA": "methods",
    "Joint": "methods",
    "L2P": "methods",
    "NearestClassMean": "methods",
    "RanPAC": "methods",
    "Record": "record",
    "SDLoRA": "methods",
    "SDLoRARR": "methods",
    "SequentialLoRA": "methods",
    "StreamingLDA": "methods",
    "TaskLoRA": "methods",
    "compare": "training",
    "compare_records": "analysis",
    "from_record": "training",
    "load_backbone": "backbones",
    "metrics": "analysis",
    "models_over_time": "training",
    "register": "training",
    "run": "training",
    "start_record": "training",
    "train_steps": "training",
    "train_task": "training",
}
__all__ = [*_ROOMS, *_NAMES]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
