"""What people call the methods."""

from __future__ import annotations

from fmlora_kit.record import Record

OURS = "fmlora"
BOUND = "joint"  # trained on all tasks at once: no stream, and so no competitor

NAMES = {
    "fmlora": "FM-LoRA",
    "sequential_lora": "sequential LoRA",
    "first_task_lora": "first-task LoRA",
    "ewc_lora": "EWC on LoRA",
    "inflora": "InfLoRA",
    "sd_lora": "SD-LoRA",
    "sd_lora_rr": "SD-LoRA-RR",
    "task_lora": "LoRA per task",
    "l2p": "L2P",
    "dualprompt": "DualPrompt",
    "coda_prompt": "CODA-Prompt",
    "hide_prompt": "HiDe-Prompt",
    "full_finetuning": "full fine-tuning",
    "frozen_backbone": "frozen backbone",
    "nearest_class_mean": "nearest class mean",
    "streaming_lda": "streaming LDA",
    "ranpac": "RanPAC",
    "joint": "joint training",
}


def display_name(method: str) -> str:
    """What people call a method: `sequential_lora` is sequential LoRA."""
    return NAMES.get(method, method.replace("_", " "))


def run_name(record: Record) -> str:
    """What a title calls a run: FM-LoRA on glyphs."""
    return f"{display_name(record.method)} on {record.stream}"
