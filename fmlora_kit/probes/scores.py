"""What is explained: normalised pixels in, logits of the classes seen out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from fmlora_kit import checks
from fmlora_kit.methods import Method

BATCH = 64  # images at a time


class ClassScores(nn.Module):
    """A method that has learned a task, for captum: pixels (n, 3, H, W) -> (n, classes seen)."""

    def __init__(self, model: Method):
        super().__init__()
        checks.instance("model", model, nn.Module, "a Method")
        if not model.seen:
            raise ValueError("model must have learned at least one task, got none")
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, H, W) -> (n, classes seen)."""
        vit = self.model.vit
        features = vit.forward_head(vit.forward_features(pixels), pre_logits=True)
        return self.model.head(features, self.model.seen)


@contextmanager
def evaluation_mode(model: Method) -> Iterator[None]:
    """Evaluation mode with gradients; afterwards every module is in the mode it was in.

    Raises:
        ValueError: the method has no one model for all images, whose pixels could be followed, or
            its prompt enters after the first block, where tokens and patches no longer match.
    """
    if not model.one_model:
        raise ValueError(
            f"model must be one for all images to be explained, got {model.name!r}, which chooses "
            "its prompts or its adapter for each image"
        )
    if hasattr(model.vit, "entering_prompt"):
        rule, got = "have its prompt before block 0", model.vit.entering_prompt.block
        raise ValueError(f"model must {rule} to be explained, got one before block {got}")
    with ExitStack() as afterwards:
        for module in model.modules():
            afterwards.callback(setattr, module, "training", module.training)
        model.eval()
        with torch.inference_mode(False), torch.enable_grad():
            yield


@contextmanager
def swap_head_rows(model: Method, rows: Mapping[int, tuple[Tensor, Tensor]]) -> Iterator[None]:
    """The head with other weights and biases for some classes; afterwards it has its own again."""
    head = model.head
    own = head_rows(model, rows)
    try:
        _write_rows(head, rows)
        yield
    finally:
        _write_rows(head, own)


@torch.no_grad()
def _write_rows(head: nn.Module, rows: Mapping[int, tuple[Tensor, Tensor]]) -> None:
    for c, (weight, bias) in rows.items():
        at = head.places([c])
        head.weight[at], head.bias[at] = weight, bias


def head_rows(model: Method, classes: Iterable[int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Copies of the head's weights (rows of a class, d) and biases (rows,), by class."""
    at = {c: model.head.places([c]) for c in classes}
    return {c: (model.head.weight[k].clone(), model.head.bias[k].clone()) for c, k in at.items()}


def check_images(model: Method, images: np.ndarray) -> None:
    """Raise ValueError unless the images are what the model takes, at least one."""
    checks.instance("model", model, nn.Module, "a Method")
    height, width = model.vit.patch_embed.img_size
    rule = f"uint8 (n, {height}, {width}, 3)"
    if not isinstance(images, np.ndarray):
        raise checks.fail("images", rule, images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (height, width, 3):
        raise ValueError(f"images must be {rule}, got {images.dtype} {images.shape}")
    if not len(images):
        raise ValueError("images must hold at least one image, got 0")


def pixels(model: Method, images: np.ndarray) -> Tensor:
    """Normalised pixels as `Method.features` sees them: uint8 (n, H, W, 3) -> (n, 3, H, W)."""
    x = torch.from_numpy(images.copy()).to(model.device)
    x = x.permute(0, 3, 1, 2).to(model.pixel_mean) / 255
    return (x - model.pixel_mean) / model.pixel_std


def target_columns(model: Method, targets: Sequence[int], n: int) -> Tensor:
    """The column of each target class among the logits: (n,); ValueError unless all are seen."""
    try:
        given = checks.listed("targets", targets)
    except ValueError:
        given = ()
    if len(given) != n:
        raise checks.fail("targets", f"one class per image ({n})", targets)
    targets = [checks.integer("targets", each) for each in given]
    unseen = sorted(set(targets) - set(model.seen))
    if unseen:
        raise ValueError(f"targets must be classes that the model has seen, got {unseen[:5]}")
    return torch.tensor([model.seen.index(target) for target in targets], device=model.device)


def collect_maps(
    model: Method,
    images: np.ndarray,
    targets: Sequence[int],
    attribute: Callable[[Tensor, Tensor], Tensor],
) -> np.ndarray:
    """What ``attribute`` makes of pixels and targets' columns, a batch at a time: (n, H, W)."""
    maps = []
    with evaluation_mode(model):
        check_images(model, images)
        where = target_columns(model, targets, len(images))
        for k in range(0, len(images), BATCH):
            maps.append(attribute(pixels(model, images[k : k + BATCH]), where[k : k + BATCH]))
    return to_numpy(maps)


def captum_attr() -> ModuleType:
    """`captum.attr`; ImportError, which says how to install it, without the extra "notebooks"."""
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError(
            "this attribution needs captum, which is not installed: "
            "pip install 'fmlora_kit[notebooks]'"
        ) from error
    return captum.attr


def to_numpy(maps: Sequence[Tensor]) -> np.ndarray:
    """Batches of maps as one array: (n, H, W), float64."""
    return torch.cat([part.detach().cpu() for part in maps]).double().numpy()


def spread_over_pixels(model: Method, patches: Tensor) -> Tensor:
    """A value per patch as a value per pixel: (n, patches) -> (n, H, W), each patch even."""
    embed = model.vit.patch_embed
    grid, (height, width) = embed.grid_size, embed.patch_size
    map_ = patches.reshape(-1, *grid)
    return map_.repeat_interleave(height, dim=1).repeat_interleave(width, dim=2)
