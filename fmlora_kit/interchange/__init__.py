"""Adapters and models that other libraries read and write: PEFT's LoRA, timm's checkpoints.

    export_peft   the sum of all tasks, or one task's own update, as a PEFT LoRA adapter
    import_peft   FM-LoRA whose first task is a PEFT LoRA adapter
    save_timm     a model with its updates merged, as a checkpoint that plain timm loads
    load_timm     such a checkpoint, also of backbones that timm does not know by name

PEFT is optional (`pip install fmlora_kit[interchange]`); the checkpoints need timm alone.
"""

from fmlora_kit.interchange.checkpoint import load_timm, save_timm
from fmlora_kit.interchange.peft_export import export_peft
from fmlora_kit.interchange.peft_import import import_peft

__all__ = ["export_peft", "import_peft", "load_timm", "save_timm"]
