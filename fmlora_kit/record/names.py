"""What people call the methods, by the name that records have."""

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
