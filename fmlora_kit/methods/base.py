"""The small interface every method has, and what all of them share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.head import SET_AFTERWARDS, Head, class_means
from fmlora_kit.adapters.sites import adapted, to_timm
from fmlora_kit.backbones.batches import to_device
from fmlora_kit.methods import description
from fmlora_kit.methods.encoder import Encoder
from fmlora_kit.streams.task import Task


@dataclass(frozen=True)
class HeadOptions:
    """The classification head.

    Attributes:
        kind: "lda", "cosine", "linear" or "ridge": see `adapters.head.Head`.
        scale: multiplies cosine logits.
        shrinkage: of the covariance of "lda".
        projections: random features of "ridge".
    """

    kind: str = "lda"
    scale: float = 16.0
    shrinkage: float = 0.1
    projections: int = 1000


class Method(Encoder):
    """One frozen backbone, one head, and four verbs: prepare a task, loss, finish a task, predict.

    A subclass says what else is trained (`parts`) and what a task leaves behind (`snapshot`). Time
    is told by the caller: ``progress`` runs from 0 to 1 over a task.

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
        ValueError: ``backbone`` is no timm ViT, or a number is out of range.
    """

    name = "method"
    default_lr: float = 1e-3
    default_head: str = "cosine"
    one_model = True  # one set of weights for every image: can be merged, exported, explained
    grows = False  # stores modules per task: the deployed size grows with the tasks
    keeps_features = False  # stores features or samples of earlier tasks, not only statistics
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
        lr: float | None = None,
        head_lr: float = 5e-3,
        head: HeadOptions | None = None,
        seed: int = 0,
    ):
        super().__init__(backbone)
        lr = self.default_lr if lr is None else lr
        for what, rate in (("lr", lr), ("head_lr", head_lr)):
            if not rate >= 0:
                raise ValueError(f"{what} must not be negative, got {rate}")
        options = head or HeadOptions(self.default_head)
        dtype = self.pixel_mean.dtype
        self.head = Head(n_classes, self.vit.num_features, seed=seed, **asdict(options)).to(dtype)
        self.lr, self.head_lr, self.seed = lr, head_lr, seed
        self.seen: tuple[int, ...] = ()
        self.n_tasks_done = 0
        self.scalars: dict[str, float] = {}
        self.ranks: list[int] = []
        self.described = {
            "backbone": self.backbone_name,
            "weights": checksum(backbone),
            "head": asdict(options),
            "lr": lr,
            "head_lr": head_lr,
        }
        if dtype != torch.float32:
            self.described["precision"] = str(dtype).removeprefix("torch.")

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
        """Scores over ``classes`` (default: all seen so far, in that order): (n, classes).

        Args:
            images: uint8 (n, height, width, 3).
            classes: global class ids.
        """
        return self.scores(self.extract(images), classes)

    # --- what subclasses say ---------------------------------------------------------------------
    def watch(self) -> dict[str, np.ndarray] | Callable[[], dict[str, np.ndarray]]:
        """What the record shall trace of the step that was just made; here nothing.

        A function of it where arrays would have to be fetched from the device: it is called later.
        """
        return {}

    def parts(self) -> list[nn.Parameter]:
        """What is trained besides the head."""
        return []

    def parameter_groups(self) -> list[dict]:
        """AdamW's groups: adapters and head rows, each with its learning rate."""
        head = [p for p in (self.head.rows, self.head.offsets) if p.requires_grad and p.numel()]
        groups = [{"params": self.parts(), "lr": self.lr}, {"params": head, "lr": self.head_lr}]
        return [group for group in groups if group["params"]]

    def snapshot(self) -> dict[str, np.ndarray]:
        """What rebuilds the model as it is now, given the snapshots of earlier tasks."""
        return {f"head.{name}": numpy(part) for name, part in self._head_state().items()}

    def restore(self, task_classes: Sequence[int], state: dict[str, np.ndarray]) -> None:
        """Take in the snapshot of the next task: afterwards the model is as it was then."""
        for name, part in self._head_state().items():
            part.copy_(torch.from_numpy(state[f"head.{name}"].copy()))
        self.seen = tuple(dict.fromkeys((*self.seen, *task_classes)))
        self.n_tasks_done += 1

    def merge(self) -> None:
        """Fold all updates into the backbone's weights; predictions stay the same."""
        for module in adapted(self.vit).values():
            module.merge()

    def unmerge(self) -> None:
        """Undo `merge`, bit for bit."""
        for module in adapted(self.vit).values():
            module.unmerge()

    def to_timm(self) -> VisionTransformer:
        """The adapted backbone as a plain timm ViT (prompt tokens are its register tokens).

        Raises:
            ValueError: there is no one model for all images.
        """
        if not self.one_model:
            raise ValueError(
                f"method must keep one model for all images to become a timm ViT, got {self.name}"
            )
        return to_timm(self.vit)

    def describe(self) -> dict:
        """Everything that was chosen, and in words what it means, for the record's run card."""
        words = description.words(self, self.head.kind)
        return {"method": self.name, **self.described, **words, **self.input_facts}

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

    def _head_state(self) -> dict[str, Tensor]:
        return {"weight": self.head.weight, "bias": self.head.bias, **self.head.statistics}

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
        return torch.Generator().manual_seed(int(words[0] >> 1))

    def _open_head(self, task: Task, features: Tensor | None = None) -> None:
        start = None
        fresh = not set(task.classes) & set(self.seen)
        if self.head.kind in SET_AFTERWARDS or (fresh and self.head.kind == "cosine"):
            features = self.extract(task.train_images) if features is None else features
            start = class_means(features, torch.tensor(task.train_labels), task.classes)
        self.head.open(task.classes, start)

    def _close_head(self, task: Task, features: Tensor | None = None) -> None:
        self.head.close()
        if self.head.kind in SET_AFTERWARDS:
            features = self.extract(task.train_images) if features is None else features
            self.head.align(features, torch.tensor(task.train_labels), task.classes)
        self.seen = tuple(dict.fromkeys((*self.seen, *task.classes)))
        self.n_tasks_done += 1


def checksum(model: nn.Module) -> str:
    """CRC-32 of a model's weights, so that a record is never continued on others."""
    crc = 0
    for value in model.state_dict().values():
        crc = zlib.crc32(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(), crc)
    return f"{crc:08x}"


def numpy(tensor: Tensor) -> np.ndarray:
    """A copy on the CPU."""
    return tensor.detach().cpu().numpy().copy()
