"""FM-LoRA and what it competes with: one method, one file, one small interface."""

from fmlora_kit.methods.base import HeadOptions, Method
from fmlora_kit.methods.fmlora import DMP, DRS, FLoRA, FMLoRA
from fmlora_kit.methods.frozen import FrozenBackbone, NearestClassMean, StreamingLDA
from fmlora_kit.methods.full_finetuning import FullFinetuning
from fmlora_kit.methods.sequential_lora import FirstTaskLoRA, Joint, SequentialLoRA

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        FMLoRA,
        SequentialLoRA,
        FirstTaskLoRA,
        FullFinetuning,
        FrozenBackbone,
        NearestClassMean,
        StreamingLDA,
        Joint,
    )
}

__all__ = [
    "METHODS",
    "DMP",
    "DRS",
    "FLoRA",
    "FMLoRA",
    "FirstTaskLoRA",
    "FrozenBackbone",
    "FullFinetuning",
    "HeadOptions",
    "Joint",
    "Method",
    "NearestClassMean",
    "SequentialLoRA",
    "StreamingLDA",
]
