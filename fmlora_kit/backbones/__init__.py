"""Frozen, pre-trained Vision Transformers: the embedded ``glyph_vit`` and every timm ViT."""

from fmlora_kit.backbones.load import load_backbone

__all__ = ["load_backbone"]
