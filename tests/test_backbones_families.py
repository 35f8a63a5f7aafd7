"""Each family of timm's ViTs, made tiny: it learns a step, its updates fold in, its pixels fit."""

from functools import cache

import numpy as np
import pytest
import timm
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.streams import Stream, Task

FAMILIES = {
    "ViT": "vit_base_patch16_224.augreg_in21k",
    "ViT, average, no class token": "vit_medium_patch16_gap_256",
    "ViT, average, registers": "vit_little_patch16_reg4_gap_256",
    "ViT, attention pooling, registers": "vit_so150m_patch16_reg4_map_256",
    "ViT, convolutions first": "vit_tiny_r_s16_p8_224",
    "ViT, convolutions alone make patches": "vit_base_mci_224",
    "ViT, differential attention": "vit_dlittle_patch16_reg1_gap_256",
    "DeiT": "deit_small_patch16_224",
    "DeiT, distilled": "deit_small_distilled_patch16_224",
    "DeiT III": "deit3_small_patch16_224",
    "DINO": "vit_small_patch16_224.dino",
    "DINOv2": "vit_small_patch14_dinov2",
    "DINOv2, registers": "vit_small_patch14_reg4_dinov2",
    "MAE": "vit_base_patch16_224.mae",
    "CLIP": "vit_base_patch16_clip_224.openai",
    "CLIP, quick GELU": "vit_base_patch16_clip_quickgelu_224.openai",
    "SigLIP": "vit_base_patch16_siglip_224",
    "SigLIP, average": "vit_base_patch16_siglip_gap_224",
    "I-JEPA": "vit_huge_patch14_gap_224.in22k_ijepa",
    "AIMv2": "aimv2_large_patch14_224",
}
WIDE = {"vit_base_mci_224": {"depth": 1}}  # its convolutions fix the width


@cache
def small(name):
    """What timm has under ``name``, narrow and two blocks deep."""
    size = 28 if "14" in name else 32
    shape = WIDE.get(name, {"embed_dim": 32, "depth": 2, "num_heads": 2})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = timm.create_model(name, num_classes=0, img_size=size, **shape)
        for key, p in vit.blocks.named_parameters():
            if key.endswith("gamma"):  # a fresh layer scale of 1e-5 would hide every update
                torch.nn.init.ones_(p)
            elif p.ndim > 1:
                torch.nn.init.normal_(p, std=0.15)
    return vit.eval()


def one_task(size):
    """Three classes of noise."""
    classes, names = (0, 1, 2), ("a", "b", "c")
    labels = np.arange(12) % 3
    images = [models.noise(12, size, seed) for seed in (0, 1)]
    task = Task("noise", classes, names, images[0], labels, images[1], labels)
    return Stream("noise", "class-incremental", (task,), 0)


@torch.no_grad()
def features_by_hand(vit, images):
    """What timm gives for pixels normalised as its own config says."""
    mean, std = (np.array(vit.pretrained_cfg[what]) for what in ("mean", "std"))
    x = torch.tensor(((images / 255 - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32)
    return vit(x)


@pytest.mark.parametrize("method", ["fmlora", "sequential_lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns_a_step_and_merged_it_is_a_plain_timm_vit(family, method):
    vit = small(FAMILIES[family])
    stream = one_task(vit.patch_embed.img_size[0])
    images = stream[0].test_images
    off = {"dmp": None} if (method, family) == ("fmlora", "DeiT, distilled") else {}
    model = models.build(method, vit, 3, **off)
    if method != "fmlora":  # a prompt changes the features from the start
        torch.testing.assert_close(
            model.extract(images), features_by_hand(vit, images), atol=1e-4, rtol=1e-4
        )
    result = fk.train_task(model, stream[0], stream, fk.Budget(epochs=1, batch_size=12))
    assert len(result.losses) == 1 and np.isfinite(result.losses).all()
    learned = model.extract(images)
    assert (learned - features_by_hand(vit, images)).abs().max() > 1e-4
    plain = model.to_timm()
    torch.testing.assert_close(features_by_hand(plain, images), learned, atol=1e-4, rtol=1e-4)
    model.merge()
    torch.testing.assert_close(model.extract(images), learned, atol=1e-4, rtol=1e-4)


def test_a_distilled_deit_takes_adapters_but_no_prompt():
    with pytest.raises(ValueError, match="prompt needs .*VisionTransformerDistilled: pass dmp=Non"):
        models.fmlora(small(FAMILIES["DeiT, distilled"]), 3)


@pytest.mark.parametrize("name", ["vit_base_patch16_xp_224", "vit_small_patch16_18x2_224"])
def test_blocks_without_one_qkv_map_are_refused(name):
    vit = timm.create_model(name, num_classes=0, img_size=32, embed_dim=32, depth=1, num_heads=2)
    with pytest.raises(ValueError, match="must have a fused qkv map in every block, got none in"):
        models.build("sequential_lora", vit, 3)
