"""The small interface every method has, and what all of them share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache, partial
from html import escape
from typing import Annotated, Self, get_args

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.head import DISCRIMINANTS, HEADS, SET_AFTERWARDS, Head, class_means
from fmlora_kit.adapters.protection import input_moments
from fmlora_kit.adapters.sites import Site, adapted_maps, attach, find_sites, to_timm
from fmlora_kit.backbones.batches import to_device
from fmlora_kit.checks import (
    Count,
    Natural,
    Positive,
    Weight,
    check_fields,
    checked,
    fail,
    integer,
    kinds,
    number,
    one_of,
)
from fmlora_kit.methods import description
from fmlora_kit.methods.encoder import Encoder, finite
from fmlora_kit.streams.task import Task


@dataclass(frozen=True)
class HeadOptions:
    """The classification head, one of `adapters.head.HEADS`.

    With ``compensate``, what "lda" and "mda" (no other kind) keep follows the features that move,
    where a task's classes are new [ours]: see `adapters.drift`.
    """

    kind: Annotated[str, one_of(HEADS)] = "lda"
    scale: Positive = 16.0  # multiplies cosine logits
    shrinkage: Annotated[float, partial(number, above=0, high=1)] = 0.1  # of the covariance
    projections: Count = 1000  # random features of "ridge"
    modes: Count = 2  # of a class in a task, for "mda" [ours]
    max_modes: Count = 8  # of a class at most: what "mda" keeps is bounded [ours]
    compensate: bool = False
    ridge: Positive | None = None  # lambda of "ridge"; None: chosen anew for every task

    def __post_init__(self) -> None:
        check_fields(self)
        if self.compensate and self.kind not in DISCRIMINANTS:
            raise fail("compensate", f"False but for {' and '.join(DISCRIMINANTS)}", self.kind)
        if self.ridge is not None and self.kind != "ridge":
            raise fail("ridge", "None but for a head of kind 'ridge'", self.kind)

    def describe(self) -> dict:
        """What bears on the kind; older records name fewer options."""
        unused = set() if self.kind == "mda" else {"modes", "max_modes"}
        unused |= set() if self.compensate else {"compensate"}
        unused |= {"ridge"} if self.ridge is None else set()
        return {k: v for k, v in asdict(self).items() if k not in unused}


class Method(Encoder):
    """One frozen backbone, one head, and four verbs: prepare a task, loss, finish a task, predict.

    A subclass says what else is trained (`parts`) and what a task leaves behind (`snapshot`). Time
    is told by the caller: ``progress`` runs from 0 to 1 over a task. Subclasses describe only their
    own options; every method takes those below too.

    Args:
        backbone: a timm `VisionTransformer`; it is copied, the caller's stays as it is. Its
            precision is the method's: with `backbone.double()` all is computed in float64.
        n_classes: classes of the whole stream, so that the head never grows.
        lr: learning rate of the adapters (AdamW); default: what did best for the method on
            held-out seeds.
        head_lr: learning rate of the head's current rows.
        head: the head's options; default: the kind that did best for the method on held-out seeds.
        seed: all randomness of this method.

    Raises:
        ValueError: ``backbone`` is no ViT that the method can use, or an option is of another type
            or out of range.
        TypeError: the method has no such option; the message says which one may be meant.
    """

    name = "method"
    default_lr: float = 1e-3
    default_head: HeadOptions = HeadOptions("cosine")
    one_model = True  # one set of weights for every image: can be merged, exported, explained
    grows = False  # stores modules per task: the deployed size grows with the tasks
    keeps_features = False  # stores features or samples of earlier tasks, not only statistics
    when_missing: Mapping[str, object] = {"blocks": None}  # options that older records do not name
    needs_n_tasks = False  # takes the stream's length as its option `n_tasks`
    loss_by_image = True  # a mean over images, plus terms that know no image: can be shared out
    # For the run card, in words:
    trained = "the task's head rows"  # by gradient, on every task unless it says otherwise
    frozen = "the backbone; head rows of other classes"  # while a task is learned
    stores = description.NOTHING  # of earlier tasks, besides one set of adapters and head rows
    masked = description.CURRENT_ONLY  # are other classes' logits left out of the loss?
    tested = description.ALL_SEEN  # how a test image is judged
    head_rows = ""  # where the head's rows come from; default: by the head's kind

    def __init__(
        self,
        backbone: VisionTransformer,
        n_classes: int,
        *,
        lr: Weight | None = None,
        head_lr: Weight = 5e-3,
        head: HeadOptions | None = None,
        seed: Natural = 0,
        **options: object,
    ):
        if options:
            raise _unknown_option(type(self), next(iter(options)))
        super().__init__(backbone)
        head = checked("head", head, HeadOptions | None) or self.default_head
        n_classes, self.seed = integer("n_classes", n_classes, 1), integer("seed", seed, 0)
        self.described = {
            "backbone": self.backbone_name,
            "weights": checksum(backbone),
            "head": head.describe(),
        }
        self.set_options(lr=self.default_lr if lr is None else lr, head_lr=head_lr)
        dtype = self.pixel_mean.dtype
        if dtype != torch.float32:
            self.described["precision"] = str(dtype).removeprefix("torch.")
        width = self.vit.num_features
        self.head = Head(n_classes, width, seed=self.seed, **head.describe()).to(dtype)
        self.features_before: Tensor | None = None  # of the task's images, as it began
        self.seen: tuple[int, ...] = ()
        self.n_tasks_done = 0
        self.scalars: dict[str, float] = {}
        self.ranks: list[int] = []

    def set_options(self, **given: object) -> None:
        """Check options, and make them attributes and part of what the record says of the method.

        The signature of ``__init__`` is where an option is declared: its name, its kind (an
        annotation that `checks.checked` reads), its default. What is given here by the same name
        is held to it. What older records mean by naming no such option (`when_missing`) is not
        noted either.
        """
        rules = option_kinds(type(self))
        for name, value in given.items():
            value = checked(name, value, rules[name])
            setattr(self, name, value)
            if name not in self.when_missing or value != self.when_missing[name]:
                self.described[name] = _to_json(value)

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """Prepare: new head rows at the class means of the current features."""
        self.unmerge()
        self.scalars = {}
        self._open_head(task)

    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy: only the current task's classes compete.

        Args:
            images: uint8 (n, height, width, 3), or what the frozen first blocks gave for them.
            labels: (n,) global class ids of the current task.
            progress: share of the task's steps already done.
        """
        place = to_device(torch.tensor(self.head.current), labels.device)
        return F.cross_entropy(
            self.head.local(self.features(images)), (labels[:, None] == place).int().argmax(1)
        )

    def end_task(self, task: Task) -> None:
        """Finish: the head's rows are written and frozen."""
        self._close_head(task)

    @torch.inference_mode()
    def logits(self, images: np.ndarray, classes: Sequence[int] | None = None) -> np.ndarray:
        """Scores of uint8 images (n, height, width, 3) over ``classes``: (n, classes).

        Classes are global ids; default: all seen so far, in that order.
        """
        return self.scores(self.extract(images), classes)

    # --- what subclasses say ---------------------------------------------------------------------
    def watch(self) -> dict[str, np.ndarray] | Callable[[], dict[str, np.ndarray]]:
        """What the record shall trace of the step that was just made; here nothing.

        A function of it where arrays would have to be fetched from the device: it is called later.
        """
        return {}

    def parts(self) -> list[nn.Parameter]:
        """What is trained besides the head: nothing."""
        return []

    def parameter_groups(self) -> list[dict]:
        """AdamW's groups: adapters and head rows, each with its learning rate; or no group."""
        if self.trained == description.NOTHING:
            return []
        head = [p for p in (self.head.rows, self.head.offsets) if p.requires_grad and p.numel()]
        groups = [{"params": self.parts(), "lr": self.lr}, {"params": head, "lr": self.head_lr}]
        return [group for group in groups if group["params"]]

    def kept(self) -> dict[str, Tensor]:
        """What a snapshot copies and `restore` writes back, by name: here the head."""
        parts = {"weight": self.head.weight, "bias": self.head.bias, **self.head.statistics}
        return {f"head.{name}": part for name, part in parts.items()}

    def snapshot(self) -> dict[str, np.ndarray]:
        """What rebuilds the model as it is now, given the snapshots of earlier tasks."""
        return {name: numpy(part) for name, part in self.kept().items()}

    @torch.no_grad()
    def restore(self, task_classes: Sequence[int], state: dict[str, np.ndarray]) -> None:
        """Take in the snapshot of the next task: afterwards the model is as it was then."""
        for name, part in self.kept().items():
            part.copy_(tensor(state[name]))
        self._count(task_classes)

    def merge(self) -> None:
        """Fold all updates into the backbone's weights; predictions stay the same."""
        for module in adapted_maps(self.vit).values():
            module.merge()

    def unmerge(self) -> None:
        """Undo `merge`, bit for bit."""
        for module in adapted_maps(self.vit).values():
            module.unmerge()

    @contextmanager
    def merged(self) -> Iterator[Self]:
        """`merge`, for a while: many images pass in about half the time.

        A model that is merged already stays so; one that is not the same for all images stays as it
        is.
        """
        apart = self.one_model and all(
            each.unmerged_weight is None for each in adapted_maps(self.vit).values()
        )
        if apart:
            self.merge()
        try:
            yield self
        finally:
            if apart:
                self.unmerge()

    def to_timm(self) -> VisionTransformer:
        """The adapted backbone as a plain timm ViT (prompt tokens are its register tokens).

        ValueError if there is no one model for all images.
        """
        if not self.one_model:
            rule = "keep one model for all images to become a timm ViT"
            raise ValueError(f"method must {rule}, got {self.name}")
        return to_timm(self.vit)

    def describe(self) -> dict:
        """Everything that was chosen, and in words what it means, for the record's run card."""
        order = ("trained", "frozen", "stores", "masked", "tested", "head_rows")
        words, kind = {name: getattr(self, name) for name in order}, self.head.kind
        kept = (self.stores, description.HEAD_STORES.get(kind, description.NOTHING))
        words["stores"] = "; ".join(what for what in kept if what != description.NOTHING)
        words["stores"] = words["stores"] or description.NOTHING
        words["head_rows"] = self.head_rows or description.HEAD_ROWS[kind]
        return {"method": self.name, **self.described, **words, **self.input_facts}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self.backbone_name}, {self.n_tasks_done} tasks learned>"

    def _repr_html_(self) -> str:
        said = self.describe()
        trainable = sum(p.numel() for group in self.parameter_groups() for p in group["params"])
        lines = {name: said[name] for name in ("trained", "frozen")}
        lines["kept of earlier tasks"] = said["stores"]
        lines["numbers"] = f"{self.n_deployed:,} deployed, {trainable:,} trainable now"
        left = 'style="text-align: left"'  # JupyterLab sets cells to the right, as numbers
        rows = "".join(
            f"<tr><th {left}>{name}</th><td {left}>{escape(words)}</td></tr>"
            for name, words in lines.items()
        )
        return f"<div><strong>{escape(repr(self))}</strong><table>{rows}</table></div>"

    # --- shared ----------------------------------------------------------------------------------
    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the adapted maps."""
        return tuple(site.name for site in self.sites)

    @property
    def n_deployed(self) -> int:
        """Numbers needed to run the model: backbone, adapters, prompt, head."""
        inside = [*self.vit.parameters(), *self._deployed_buffers()]
        return self.head.n_deployed + sum(p.numel() for p in inside)

    @property
    def n_training_state(self) -> int:
        """Further numbers kept between tasks only for training."""
        return sum(part.numel() for part in self.head.statistics.values())

    def adapt(
        self, make: Callable[[Site], nn.Module], maps: Sequence[str], blocks: Sequence[int] | None
    ) -> None:
        """Give each of the maps that `find_sites` finds the update that ``make`` gives for it."""
        self.sites = find_sites(self.vit, maps, blocks)
        self.updates = {site.name: make(site) for site in self.sites}
        attach(self.vit, self.sites, self.updates)

    def factors(self) -> dict[str, nn.Parameter]:
        """A and B of every adapter, by name: "blocks.0.q.a" and so on."""
        return {f"{name}.{k}": getattr(u, k) for name, u in self.updates.items() for k in "ab"}

    def _deployed_buffers(self) -> list[Tensor]:
        return []

    @torch.inference_mode()
    def scores(self, features: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
        """Logits from extracted features: (n, d) -> (n, classes)."""
        wanted = self.seen if classes is None else classes
        return self.head(features.to(self.device), wanted).cpu().numpy()

    def generator(self, *purpose: int) -> torch.Generator:
        """Randomness that depends on nothing but the seed and what it is for."""
        words = np.random.SeedSequence([self.seed, *purpose]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0]) >> 1)

    def _check_length(self, task: Task) -> None:
        """Raise ValueError if as many tasks as ``n_tasks`` says were learned already."""
        if self.n_tasks_done >= self.n_tasks:
            given = f"{self.n_tasks} and one more task, {task.name!r}"
            raise ValueError(f"n_tasks must be at least the stream's number of tasks, got {given}")

    def _look_at(self, task: Task) -> tuple[Tensor, dict[str, Tensor]]:
        """The training images: their features (n, d), and the input moment of each adapted map."""
        seen: list[Tensor] = []
        forwards = (seen.append(self.features(x).cpu()) for x in self.batches(task.train_images))
        moments = input_moments(self.vit, self.sites, forwards)
        return finite(torch.cat(seen)), moments

    def _open_head(self, task: Task, features: Tensor | None = None) -> None:
        start = None
        fresh = not set(task.classes) & set(self.seen)
        if self.head.kind in SET_AFTERWARDS or (fresh and self.head.kind == "cosine"):
            features = self.extract(task.train_images) if features is None else features
            start = class_means(features, torch.tensor(task.train_labels), task.classes)
        self.features_before = features if self.head.compensates else None
        self.head.open(task.classes, start)

    def _close_head(self, task: Task, features: Tensor | None = None) -> None:
        self.head.close()
        if self.head.kind in SET_AFTERWARDS:
            features = self.extract(task.train_images) if features is None else features
            labels = torch.tensor(task.train_labels)
            self.head.align(features, labels, task.classes, self.features_before)
        self.features_before = None
        self._count(task.classes)

    def _count(self, classes: Sequence[int]) -> None:
        self.seen = tuple(dict.fromkeys((*self.seen, *classes)))
        self.n_tasks_done += 1


class PromptedMethod(Method):
    """What methods share whose prompts or prefixes depend on the image."""

    one_model = False

    @torch.no_grad()
    def query(self, images: Tensor) -> Tensor:
        """q(x), the feature of the frozen ViT without prompts: uint8 (n, h, w, 3) -> (n, d)."""
        return Encoder.features(self, images)

    def _uniform(self, shape: tuple[int, ...], start: float, *purpose: int) -> Tensor:
        """Numbers from -start to start, in the model's precision and on its device."""
        noise = torch.rand(shape, generator=self.generator(*purpose), dtype=torch.float64)
        return ((2 * noise - 1) * start).to(self.pixel_mean)


@cache
def option_kinds(method: type[Method]) -> dict[str, object]:
    """What each option of a method must be: annotations of its signature and of its parents'."""
    found: dict[str, object] = {}
    for parent in reversed(method.__mro__):
        if issubclass(parent, Method) and "__init__" in vars(parent):
            found |= kinds(parent.__init__)
    return found


def _unknown_option(method: type[Method], name: str) -> TypeError:
    """The error of an option that there is not, with the one that may be meant."""
    rules, meant = option_kinds(method), {}
    for option, kind in rules.items():  # also what is inside an option, such as ``FLoRA | None``
        for part in filter(is_dataclass, (kind, *get_args(kind))):
            meant |= {f.name: f"{option}={part.__name__}({f.name}=...)" for f in fields(part)}
    own = [option for option in rules if option not in ("backbone", "n_classes", "options")]
    meant |= {option: f"{option}=..." for option in own}
    near = get_close_matches(name, meant, 1)
    maybe = f"did you mean {meant[near[0]]}? " if near else ""
    return TypeError(f"{method.__name__} has no option {name!r}; {maybe}It has {', '.join(own)}")


def _to_json(value: object) -> object:
    """An option as the record holds it."""
    if is_dataclass(value):
        return value.describe() if hasattr(value, "describe") else asdict(value)
    return list(value) if isinstance(value, tuple) else value


def tensor(array: np.ndarray, like: Tensor | None = None) -> Tensor:
    """A copy of a snapshot's array, on the device of ``like``; default: on the CPU."""
    copied = torch.from_numpy(np.array(array))
    return copied if like is None else copied.to(like.device)


def checksum(model: nn.Module) -> str:
    """CRC-32 of a model's weights, so that a record is never continued on others."""
    crc = 0
    for value in model.state_dict().values():
        crc = zlib.crc32(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(), crc)
    return f"{crc:08x}"


def numpy(tensor: Tensor) -> np.ndarray:
    """A copy on the CPU."""
    return tensor.detach().cpu().numpy().copy()


def factors_of(updates: Mapping[str, nn.Module], parts: str = "ab") -> dict[str, np.ndarray]:
    """Copies of the factors of each map, by "<map>.<factor>"."""
    return {f"{name}.{k}": numpy(getattr(u, k)) for name, u in updates.items() for k in parts}
