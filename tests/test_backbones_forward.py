"""Forward passes in parts, and the last block for the class token alone."""

import pytest
import torch
from helpers import models
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import (
    Block,
    ResPostBlock,
    VisionTransformer,
)
from torch.utils.flop_counter import FlopCounterMode

from fmlora_kit.backbones.forward import enter, leave, pool, reads_class_token, splittable

X = torch.randn(3, 3, 32, 32, generator=models.generator(1))
VARIANTS = {
    "plain": {},
    "registers": {"reg_tokens": 2, "pre_norm": True},
    "norms": {"qk_norm": True, "scale_attn_norm": True, "scale_mlp_norm": True},
    "scaled": {"init_values": 0.5, "fc_norm": True},
    "no position for the class token": {"no_embed_class": True},
}


def timms_own(vit, x):
    return vit.forward_head(vit.forward_features(x), pre_logits=True)


def products(act):
    with FlopCounterMode(display=False) as count:
        act()
    return count.get_total_flops()


@pytest.mark.parametrize(
    "changes", [{}, {"global_pool": "avg"}, {"reg_tokens": 2, "pre_norm": True}]
)
def test_entering_and_leaving_is_the_forward_pass_wherever_it_is_split(changes):
    vit = models.vit(depth=3, **changes)
    with torch.no_grad():
        expected = vit.forward_head(vit.forward_features(X), pre_logits=True)
        once = pool(vit, X)
        torch.testing.assert_close(once, expected, rtol=0, atol=2e-6)
        for k in range(4):
            assert torch.equal(leave(vit, enter(vit, X, k), k), once)
        assert torch.equal(enter(vit, X, 3), once)


def test_what_block_k_gets_to_see():
    vit, seen = models.vit(depth=3), []
    hook = vit.blocks[2].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        vit(X)
        hook.remove()
        assert torch.equal(enter(vit, X, 2), seen[0])


def test_a_forward_pass_of_ones_own_cannot_be_split():
    class Own(VisionTransformer):
        def forward_features(self, x, **options):
            return super().forward_features(x, **options) + 1

    assert splittable(models.vit())
    own = Own(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0).eval()
    assert not splittable(own)
    with torch.no_grad():
        assert torch.equal(pool(own, X), timms_own(own, X))
    checkpointed = models.vit()
    checkpointed.set_grad_checkpointing()
    assert not splittable(checkpointed)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("gated", [False, True])
def test_the_class_token_alone_gives_the_features_and_gradients_of_the_whole_pass(changes, gated):
    vit, x = models.vit(depth=3, **changes).double(), X.double().requires_grad_()
    if gated:
        vit.blocks[-1].attn.gate = torch.nn.Linear(32, 32).double()
    assert reads_class_token(vit)
    vit.requires_grad_(True)
    taken = [x, *(p for name, p in vit.named_parameters() if not name.startswith("head."))]
    expected, found = timms_own(vit, x), pool(vit, x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    wanted, got = (torch.autograd.grad(y.square().sum(), taken) for y in (expected, found))
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert products(lambda: pool(vit, x)) < 0.85 * products(lambda: timms_own(vit, x))


def hooked(what):
    vit = models.vit(depth=3)
    what(vit).register_forward_hook(lambda module, args, out: out * 2)
    return vit


class Doubled(Block):
    """Not timm's own."""

    def forward(self, x, **options):
        return 2 * super().forward(x, **options)


class FirstAndLast(VisionTransformer):
    """Reads one more token than the class token."""

    def forward_head(self, x, pre_logits=False):
        return x[:, 0] + x[:, -1]


SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2}
WHOLE = {
    "mean of all tokens": lambda: models.vit(depth=3, global_pool="avg"),
    "attention pool": lambda: models.vit(depth=3, global_pool="map"),
    "another block": lambda: models.vit(depth=3, block_fn=ResPostBlock),
    "a block of one's own": lambda: models.vit(depth=3, block_fn=Doubled),
    "hooked block": lambda: hooked(lambda vit: vit.blocks[-1]),
    "hooked attention": lambda: hooked(lambda vit: vit.blocks[-1].attn),
    "another head": lambda: FirstAndLast(**SIZES, num_classes=0).eval(),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_what_reads_more_or_is_not_timms_own_is_run_whole(make):
    vit = make()
    assert not reads_class_token(vit)
    with torch.no_grad():
        assert torch.equal(pool(vit, X), timms_own(vit, X))


def test_a_compiled_block_is_run_as_it_is():
    vit = models.vit(depth=3)
    vit.blocks[-1].compile(backend="eager")
    assert not reads_class_token(vit)


def test_a_distilled_vit_reads_two_tokens():
    vit = VisionTransformerDistilled(**SIZES, num_classes=0).eval()
    assert not reads_class_token(vit)
