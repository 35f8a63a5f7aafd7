"""FM-LoRA and what it competes with: one method, one file, one small interface."""

from fmlora_kit.methods.base import HeadOptions, Method
from fmlora_kit.methods.coda_prompt import CODAPrompt
from fmlora_kit.methods.dualprompt import DualPrompt
from fmlora_kit.methods.ewc_lora import EWCLoRA
from fmlora_kit.methods.fmlora import DMP, DRS, FLoRA, FMLoRA
from fmlora_kit.methods.frozen import FrozenBackbone, NearestClassMean, StreamingLDA
from fmlora_kit.methods.full_finetuning import FullFinetuning
from fmlora_kit.methods.hide_prompt import HiDePrompt
from fmlora_kit.methods.inflora import InfLoRA
from fmlora_kit.methods.l2p import L2P
from fmlora_kit.methods.ranpac import RanPAC
from fmlora_kit.methods.sd_lora import SDLoRA, SDLoRARR
from fmlora_kit.methods.sequential_lora import FirstTaskLoRA, Joint, SequentialLoRA
from fmlora_kit.methods.task_lora import TaskLoRA

_LORA = (FMLoRA, SequentialLoRA, FirstTaskLoRA, EWCLoRA, InfLoRA, SDLoRA, SDLoRARR)
_BY_IMAGE = (TaskLoRA, L2P, DualPrompt, CODAPrompt, HiDePrompt)  # what adapts depends on the image
_OTHERS = (FullFinetuning, FrozenBackbone, NearestClassMean, StreamingLDA, RanPAC, Joint)
METHODS: dict[str, type[Method]] = {each.name: each for each in _LORA + _BY_IMAGE + _OTHERS}

__all__ = [
    "METHODS",
    "CODAPrompt",
    "DMP",
    "DRS",
    "DualPrompt",
    "EWCLoRA",
    "FLoRA",
    "FMLoRA",
    "FirstTaskLoRA",
    "FrozenBackbone",
    "FullFinetuning",
    "HeadOptions",
    "HiDePrompt",
    "InfLoRA",
    "Joint",
    "L2P",
    "Method",
    "NearestClassMean",
    "RanPAC",
    "SDLoRA",
    "SDLoRARR",
    "SequentialLoRA",
    "StreamingLDA",
    "TaskLoRA",
]
