"""What is measured beside each other: every method in the state of its k-th task, PEFT, the limit.

The limit is what any method pays whose parameters sit in the first block: the forward pass, and the
backward pass of activations only, down to the first block's input, with no weight's gradient but
the head's. It and PEFT run timm's own forward pass; what this package saves of that pass (see
`backbones.forward`) is told apart by a second limit, which saves it too.

FM-LoRA stands twice: with its defaults, beside PEFT's LoRA of the same rank on the same maps, and
small, at rank 32 on q and v, beside PEFT's at rank 32 on its fused map of q, k and v.

Frozen weights are shared between all sides, so that dozens of them fit into memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from tqdm import tqdm

from fmlora_kit.adapters.sites import find_sites
from fmlora_kit.methods import METHODS, FLoRA, HeadOptions, Method
from fmlora_kit.methods.frozen import FrozenBackbone
from fmlora_kit.streams.task import Task

LIMIT, SHORT_LIMIT = "frozen_limit", "frozen_limit_class_token"
NO_PROMPT = "fmlora_no_prompt"
SMALL, SMALL_NO_PROMPT = "fmlora_r32", "fmlora_r32_no_prompt"
_SMALL = {"flora": FLoRA(max_rank=32, maps=("q", "v"))}
VARIANTS = {NO_PROMPT: {"dmp": None}, SMALL: _SMALL, SMALL_NO_PROMPT: {**_SMALL, "dmp": None}}
PEFT, PEFT_WIDE, PEFT_ALL = "peft_lora", "peft_lora_r32", "peft_lora_r64"
PEFT_DORA = "peft_dora"
_LINEAR = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")  # of a block: all of its linear maps
PEERS = {  # rank and maps as published; those of the small FM-LoRA; those of the default one
    PEFT: {},
    PEFT_DORA: {"dora": True},
    PEFT_WIDE: {"rank": 32},
    PEFT_ALL: {"rank": FLoRA().max_rank, "maps": _LINEAR},
}
CLASSES_PER_TASK = 2
PROGRESS = 0.25  # of a task: ranks are being chosen, everything trains
CLIP = 1.0
# What is no step of its own: the modules, and what is trained of them, are those of another method.
SAME_STEP = dict.fromkeys(("first_task_lora", "ranpac", "joint"), "sequential_lora")
NO_STEP = ("nearest_class_mean", "streaming_lda")  # nothing is trained by gradient
MEASURED = (*VARIANTS, *(name for name in METHODS if name not in (*SAME_STEP, *NO_STEP)))


class TimmPass(FrozenBackbone):
    """The frozen backbone, computed as timm does."""

    def features(self, images: Tensor) -> Tensor:
        """All tokens through all blocks: uint8 (n, height, width, 3) -> (n, d)."""
        x = self.pixels(images)
        return self.vit.forward_head(self.vit.forward_features(x), pre_logits=True).to(x)


class FrozenLimit(TimmPass):
    """The frozen backbone, with a backward pass through all of its blocks; the head trains."""

    name = LIMIT

    def __init__(self, backbone: VisionTransformer, n_classes: int, **options):
        super().__init__(backbone, n_classes, **options)
        self.vit.blocks[0].register_forward_pre_hook(
            lambda _, args: (args[0].detach().requires_grad_(torch.is_grad_enabled()), *args[1:])
        )


class ShortLimit(FrozenLimit):
    """The same limit, with the last block for the class token alone, as this package does."""

    name = SHORT_LIMIT
    features = FrozenBackbone.features


class PEFTLoRA(TimmPass):
    """PEFT's own LoRA of rank r on ``maps`` of every block; ImportError without `peft`.

    With ``dora`` its weight-decomposed kind, whose norm of each output row trains too (Liu et al.
    2024, arXiv 2402.09353).
    """

    name = PEFT

    def __init__(
        self,
        backbone: VisionTransformer,
        n_classes: int,
        *,
        rank: int = 10,
        maps: Sequence[str] = _LINEAR[:1],
        dora: bool = False,
        **options,
    ):
        from peft import LoraConfig, inject_adapter_in_model  # a peer, no part of this package

        super().__init__(backbone, n_classes, **options)
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(maps), use_dora=dora)
        inject_adapter_in_model(config, self.vit)

    def parts(self) -> list[nn.Parameter]:
        """PEFT's pairs."""
        return [p for p in self.vit.parameters() if p.requires_grad]


@dataclass
class Side:
    """One training step, to be made again and again.

    Attributes:
        name: of the method; ``model`` is in the middle of the task of number ``task``, from 1.
        images, labels: uint8 (n, height, width, 3) and (n,), on the model's device.
        precision: makes the context that the forward pass runs in.
    """

    name: str
    task: int
    model: Method
    images: Tensor
    labels: Tensor
    precision: Callable[[], AbstractContextManager]
    optimiser: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        """Make the optimiser of the training loop."""
        self.optimiser = torch.optim.AdamW(self.model.parameter_groups(), weight_decay=0.0)
        self._trained = [p for group in self.optimiser.param_groups for p in group["params"]]

    @property
    def key(self) -> str:
        """Name and task."""
        return f"{self.name}@{self.task}"

    def step(self) -> None:
        """Loss, gradients, clipping and AdamW, as in the training loop."""
        with self.precision():
            loss = self.model.loss(self.images, self.labels, PROGRESS)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, CLIP)
        self.optimiser.step()

    def resident_bytes(self) -> int:
        """What is there before a step: weights (shared ones too), buffers, optimiser state."""
        inside = [*self.model.parameters(), *self.model.buffers()]
        inside += [t for s in self.optimiser.state.values() for t in s.values() if t.ndim]
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in inside}
        return sum(storages.values())


def options_for(name: str, n_tasks: int, width: int) -> dict:
    """What a side is, else defaults, in a stream of ``n_tasks`` tasks on a ViT of that width."""
    options: dict = {"head": HeadOptions("cosine"), **{**VARIANTS, **PEERS}.get(name, {})}
    if name == "hide_prompt":
        options["statistics"] = "variance"  # no part of a step, and 768 x 768 numbers per class
    if name == "coda_prompt":
        orthogonal = min(100, width)  # no more can be
        options["components"] = n_tasks * max(1, orthogonal // n_tasks)
    if name in METHODS and METHODS[name].needs_n_tasks:
        options["n_tasks"] = n_tasks
    return options


def model_at(
    name: str, backbone: VisionTransformer, tasks: Sequence[int], device: torch.device
) -> dict[int, Method]:
    """The method in the middle of each of ``tasks`` (numbers from 1), by number.

    Earlier tasks are taken in from a snapshot of the first one, after a single step on a few
    images: the modules are those that the method has then, only their numbers are not.
    """
    own = {LIMIT: FrozenLimit, SHORT_LIMIT: ShortLimit, **dict.fromkeys(PEERS, PEFTLoRA)}
    kind = {**METHODS, **own, **dict.fromkeys(VARIANTS, METHODS["fmlora"])}[name]
    options = options_for(name, max(tasks), backbone.embed_dim)
    make = partial(kind, backbone, CLASSES_PER_TASK * max(tasks))
    model = make(**options).to(device)
    models, state = {}, None
    for task in sorted(tasks):
        if task > 1 and state is None:
            if issubclass(kind, METHODS["fmlora"]):  # as large, and set in no time:
                flora = replace(options.get("flora", FLoRA()), bases="random")
                options = {**options, "flora": flora}
            first, few = make(**options).to(device), few_images(1, backbone.patch_embed.img_size)
            first.begin_task(few)
            batch = (torch.tensor(a, device=device) for a in (few.train_images, few.train_labels))
            Side(name, 1, first, *batch, nullcontext).step()
            first.end_task(few)
            state = first.snapshot()
        while model.n_tasks_done < task - 1:
            model.restore(classes_of(model.n_tasks_done + 1), state)
        models[task] = copy.deepcopy(model) if task < max(tasks) else model
        models[task].begin_task(few_images(task, backbone.patch_embed.img_size))
        share_weights(models[task].vit, backbone)
    return models


def classes_of(task: int) -> tuple[int, ...]:
    """Global class ids of the task with this number, from 1."""
    return tuple(range(CLASSES_PER_TASK * (task - 1), CLASSES_PER_TASK * task))


def few_images(task: int, size: Sequence[int], per_class: int = 1) -> Task:
    """A task of random pictures."""
    classes = classes_of(task)
    labels = np.repeat(np.array(classes), per_class)
    rng = np.random.default_rng(task)
    images = rng.integers(0, 256, (len(labels), *size, 3), dtype=np.uint8)
    names = tuple(str(c) for c in classes)
    return Task(f"task {task}", classes, names, images, labels, images, labels)


def share_weights(vit: nn.Module, backbone: VisionTransformer) -> None:
    """Let frozen weights that are equal to the backbone's be the backbone's own."""
    own = dict(backbone.named_parameters())
    for name, p in vit.named_parameters():
        plain = own.get(name.replace(".base_layer.", ".").replace(".base.", "."))
        if plain is not None and not p.requires_grad and torch.equal(p, plain):
            p.data = plain.data


def merged(model: Method, kind: type[FrozenBackbone] = FrozenBackbone) -> FrozenBackbone:
    """The plain timm model that is left when training is over, behind the same preprocessing.

    Its forward pass is that of ``kind``: this package's, or with `TimmPass` timm's own.
    """
    plain = model.to_timm()
    find_sites(plain)
    return kind(plain, model.head.n_classes).to(model.device)


def make_sides(
    backbone: VisionTransformer,
    tasks: Mapping[str, Sequence[int]],
    *,
    batch_size: int,
    device: torch.device,
    precision: Callable[[], AbstractContextManager],
) -> list[Side]:
    """Every method of ``tasks`` at each of its tasks, numbers from 1; ``precision``: see `Side`."""
    sides = []
    shape = (batch_size, *backbone.patch_embed.img_size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = torch.tensor(pixels, device=device)
    for name, numbers in tqdm(tasks.items(), desc="making", unit=" methods"):
        for task, model in model_at(name, backbone, numbers, device).items():
            labels = torch.tensor(np.resize(np.array(classes_of(task)), batch_size), device=device)
            sides.append(Side(name, task, model, images, labels, precision))
    return sides
