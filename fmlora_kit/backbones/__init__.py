"""Frozen, pre-trained Vision Transformers: two that come with the package, and timm's.

`glyph_vit` (printed symbols, 32 pixels) and `photo_vit` (Tiny-ImageNet, 36 pixels) lie in ``data/``
and need no network. Of timm, every `VisionTransformer` will do; the names below are one of each
family. Its own normalisation and size come with it. What is built otherwise (Swin, ConvNeXt, EVA,
DINOv3, BEiT) cannot carry these adapters and prompts, and is refused before anything is fetched.

| family | a name | note |
|---|---|---|
| ViT | `vit_base_patch16_224.augreg_in21k` | the weights of InfLoRA's code |
| DeiT, DeiT III | `deit_small_patch16_224.fb_in1k` | the distilled ones take no prompt |
| DINO, DINOv2 | `vit_small_patch14_reg4_dinov2.lvd142m` | 518 pixels; ``image_size=224`` |
| MAE | `vit_base_patch16_224.mae` | |
| CLIP | `vit_base_patch16_clip_224.openai` | the image tower |
| SigLIP | `vit_base_patch16_siglip_224.webli` | no class token, attention pooling |
"""

from fmlora_kit.backbones.load import EMBEDDED, load_backbone

__all__ = ["EMBEDDED", "load_backbone"]
