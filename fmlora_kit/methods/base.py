"""The small interface every method has, and what all of them share."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.feed import Rows, precision, to_device
from fmlora_kit.adapters.head import SET_AFTERWARDS, Head, class_means
from fmlora_kit.adapters.passes import enter, leave, pooled, splittable
from fmlora_kit.adapters.prefix_cache import PrefixCache
from fmlora_kit.adapters.sites import Site, adapted, find_sites, to_timm
from fmlora_kit.methods import card
from fmlora_kit.streams.task import Task

EVALUATION_BATCH = 256


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


class Method(nn.Module):
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
    has_prefix = False  # blocks before the first adapted one stay as they are, for every image
    loss_by_image = True  # a mean over images, plus terms that know no image: can be shared out
    group = None  # the processes that learn together, see `training.parallel`
    # For the run card, in words:
    trained = "the task's head rows"  # by gradient, on every task unless it says otherwise
    frozen = "the backbone; head rows of other classes"  # while a task is learned
    stores = card.NOTHING  # of earlier tasks, besides one set of adapters and the head's rows
    masked = card.CURRENT_ONLY  # are other classes' logits left out of the loss?
    tested = card.ALL_SEEN  # how a test image is judged
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
        super().__init__()
        find_sites(backbone)
        lr = self.default_lr if lr is None else lr
        for what, rate in (("lr", lr), ("head_lr", head_lr)):
            if not rate >= 0:
                raise ValueError(f"{what} must not be negative, got {rate}")
        self.vit = copy.deepcopy(backbone).eval().requires_grad_(False)
        options = head or HeadOptions(self.default_head)
        dtype = next(self.vit.parameters()).dtype
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"backbone must be in float32 or float64, got {dtype}")
        self.head = Head(n_classes, self.vit.num_features, seed=seed, **asdict(options)).to(dtype)
        self.lr, self.head_lr, self.seed = lr, head_lr, seed
        self.sites: tuple[Site, ...] = ()
        self.seen: tuple[int, ...] = ()
        self.n_tasks_done = 0
        self.scalars: dict[str, float] = {}
        self.ranks: list[int] = []
        self.prefix_cache: PrefixCache | None = None
        cfg = getattr(backbone, "pretrained_cfg", None) or {}
        self.backbone_name = cfg.get("architecture", "custom")
        self.input_facts: dict = {"tag": cfg.get("tag")}
        for what in ("pixel_mean", "pixel_std"):
            value = [float(v) for v in cfg.get(what.removeprefix("pixel_"), (0.5, 0.5, 0.5))]
            self.register_buffer(what, torch.tensor(value, dtype=dtype).view(1, 3, 1, 1))
            self.input_facts[what] = value
        self.input_facts["input_size"] = list(self.vit.patch_embed.img_size)
        self.input_facts |= {what: cfg[what] for what in card.SOURCE if what in cfg}
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
        words = card.words(self, self.head.kind)
        return {"method": self.name, **self.described, **words, **self.input_facts}

    # --- shared ----------------------------------------------------------------------------------
    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the adapted maps."""
        return tuple(site.name for site in self.sites)

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.pixel_mean.device

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

    def features(self, images: Tensor) -> Tensor:
        """Pooled features: uint8 (n, height, width, 3), or tokens of the prefix -> (n, d)."""
        if images.is_floating_point() and images.ndim < 4 and self.n_frozen_blocks:
            return leave(self.vit, images, self.n_frozen_blocks).to(self.pixel_mean)
        x = self.pixels(images)
        return pooled(self.vit, x).to(x)

    def pixels(self, images: Tensor) -> Tensor:
        """What the ViT takes: uint8 (n, height, width, 3) -> normalised (n, 3, height, width)."""
        size = self.vit.patch_embed.img_size
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 (bytes 0..255), got {images.dtype}")
        if images.ndim != 4 or images.shape[-1] != 3 or tuple(images.shape[1:3]) != tuple(size):
            raise ValueError(
                f"images must be (n, {size[0]}, {size[1]}, 3), got {tuple(images.shape)}"
            )
        x = images.permute(0, 3, 1, 2).to(self.pixel_mean) / 255
        return (x - self.pixel_mean) / self.pixel_std

    @torch.inference_mode()
    def extract(self, images: np.ndarray) -> Tensor:
        """Features of many images, batch by batch: (n, d), on the CPU."""
        with precision(self.device):
            if self.group is not None:
                return self.group.extract(self, images)
            return torch.cat([self.features(b) for b in self.batches(images)]).cpu()

    @torch.inference_mode()
    def scores(self, features: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
        """Logits from extracted features: (n, d) -> (n, classes)."""
        wanted = self.seen if classes is None else classes
        return self.head(features.to(self.device), wanted).cpu().numpy()

    def batches(self, images: np.ndarray) -> Iterator[Tensor]:
        """The images, or their tokens if held, on the model's device, a batch at a time."""
        rows = self.rows(images, whole=False)
        for batch in torch.arange(len(images)).split(EVALUATION_BATCH):
            yield rows[batch]

    def rows(self, images: np.ndarray, *, whole: bool | None = None) -> Rows:
        """The images, or their tokens if held, to take batches of; ``whole``: see `Rows`."""
        kept = None if self.prefix_cache is None else self.prefix_cache.get(images)
        return Rows(images if kept is None else kept, self.device, whole=whole)

    def release(self, images: np.ndarray) -> None:
        """Forget what `hold` kept of this array."""
        if self.prefix_cache is not None:
            self.prefix_cache.drop(images)

    @property
    def n_frozen_blocks(self) -> int:
        """The prefix: so many blocks at the start give the same for an image for ever."""
        if not self.has_prefix or not splittable(self.vit):
            return 0
        return min((site.block for site in self.sites), default=len(self.vit.blocks))

    def cache_prefix(self, n_bytes: int, device: torch.device | None = None) -> None:
        """From now on keep up to ``n_bytes`` of what the frozen first blocks give; 0: nothing.

        It makes a difference where `n_frozen_blocks` is not 0, and only to the time: the training
        loop holds each task's training images and, as far as there is room, all test images.

        Args:
            n_bytes: float32 tokens of one image take 4 * tokens * d bytes.
            device: where they are kept; None: on the model's.
        """
        self.prefix_cache = PrefixCache(n_bytes, device) if n_bytes else None

    def hold(self, images: np.ndarray, *, urgent: bool = False) -> None:
        """Compute the prefix of this very array once, if a cache is on and has room for it.

        Args:
            images: uint8 (n, height, width, 3); it must not change any more.
            urgent: drop other arrays where there is no room.
        """
        k, cache = self.n_frozen_blocks, self.prefix_cache
        if cache is None or not k:
            return
        with precision(self.device):
            batches = self.batches(images)
            cache.hold(images, batches, lambda b: enter(self.vit, self.pixels(b), k), urgent=urgent)

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
