"""The parts of FM-LoRA and of plain LoRA: F-LoRA, DRS, DMP, heads, and where they go in a ViT."""
