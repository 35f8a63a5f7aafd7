"""What if a task had got less rank? Measured on the rebuilt model, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from fmlora_kit import checks
from fmlora_kit.adapters.sites import adapted_maps
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.analysis.ranks import TruncationTable
from fmlora_kit.backbones.forward import leave
from fmlora_kit.methods import FMLoRA
from fmlora_kit.probes.images import ProbeImages, probe_images
from fmlora_kit.record import Record
from fmlora_kit.streams import Stream
from fmlora_kit.training import from_record
from fmlora_kit.training.device import precision

_ALL = -1


def truncate_ranks(
    record: Record,
    stream: Stream,
    *,
    n_images: int | None = 30,
    levels: Sequence[int] = (0, 1, 2, 4, 8, 16),
    layer_levels: Sequence[int] = (0, 4),
    backbone: VisionTransformer | None = None,
) -> TruncationTable:
    """Accuracy of every task when the pair of one task is cut: each task, all maps or one.

    The core is the sum of the pairs, so with M_t, N_t cut to r columns it is
    C = sum_{u != t} M_u N_u + M_t[:, :r] N_t[:r]. Everything else, the head too, stays as it was
    after the last task. Blocks before a cut are computed once.

    Args:
        record: of a method whose updates are pairs M_t N_t.
        stream: what it was trained on.
        n_images: test images per task, the same number of each class; None for all.
        levels: ranks to cut all maps to.
        layer_levels: ranks to cut one map to.
        backbone: see `fmlora_kit.from_record`.

    Raises:
        ValueError: the method has no pairs, the stream is another one, or a number out of range.
    """
    check_record(record, 1)
    names = [f"{layer}.{part}" for layer in record.layers for part in "mn"]
    if not names or not all(name in t.state for t in record.tasks for name in names):
        rule = "of a method whose updates are pairs M_t N_t"
        raise ValueError(f"record must be {rule}, got {record.method!r}")
    levels = _check_levels("levels", levels)
    layer_levels = _check_levels("layer_levels", layer_levels)
    images = probe_images(record, stream, n_images)
    cuts = []  # every (task, layer, rank) that cuts anything
    for t, ranks in enumerate(record.ranks):
        cuts += [(t, _ALL, r) for r in levels if r < ranks.max()]
        cuts += [(t, k, r) for k, own in enumerate(ranks) for r in layer_levels if r < own]
    probe = _Probe(record, from_record(record, backbone=backbone), images)
    full = probe.predictions(0, _ALL, None)
    cut = [probe.predictions(*where) for where in cuts]
    task, layer, rank = np.array(cuts, dtype=np.int64).reshape(-1, 3).T
    shape = (len(cuts), len(record.tasks))
    return TruncationTable(
        method=record.method,
        task_names=record.task_names,
        layers=record.layers,
        ranks=record.ranks,
        n_images=images.sizes,
        full=images.accuracy(full),
        cut_task=task,
        cut_layer=layer,
        cut_rank=rank,
        accuracy=np.reshape([images.accuracy(p) for p in cut], shape),
        changed=np.reshape([images.share(p != full) for p in cut], shape),
    )


class _Probe:
    """The model after the last task, rebuilt for this alone, with one core or all changed."""

    def __init__(self, record: Record, model: FMLoRA, images: ProbeImages):
        self._model, self._images = model, images
        self._layers = record.layers
        maps = adapted_maps(model.vit)
        self._maps = {site.name: maps[site.path] for site in model.sites}
        self._blocks = [int(layer.split(".")[1]) for layer in record.layers]
        self._pairs = {
            layer: [
                [torch.tensor(t.state[f"{layer}.{part}"], device=model.device) for part in "mn"]
                for t in record.tasks
            ]
            for layer in record.layers
        }
        model.merge()
        self._inputs = [self._enter(batch) for batch in images.batches]

    @torch.inference_mode()
    def predictions(self, task: int, layer: int, rank: int | None) -> np.ndarray:
        """(n,) predicted classes with the pair of ``task`` cut to ``rank`` columns."""
        every = range(len(self._layers)) if layer == _ALL else [layer]
        self._set({self._layers[k]: self._core(self._layers[k], task, rank) for k in every})
        first = min(self._blocks[k] for k in every)
        with precision(self._model.device):
            features = [leave(self._model.vit, x[first], first).cpu() for x in self._inputs]
        self._set({self._layers[k]: self._core(self._layers[k], task, None) for k in every})
        return self._images.predict(self._model, features)

    def _core(self, layer: str, task: int, rank: int | None) -> Tensor:
        """C: (R, R), summed in the order in which the tasks were folded."""
        core = torch.zeros_like(self._model.updates[layer].core)
        for t, (m, n) in enumerate(self._pairs[layer]):
            core += m[:, :rank] @ n[:rank] if t == task else m @ n
        return core

    def _set(self, cores: dict[str, Tensor]) -> None:
        changed = [self._maps[layer] for layer in cores]
        for each in changed:
            each.unmerge()
        for layer, core in cores.items():
            self._model.updates[layer].core = core
        for each in changed:  # q, k and v share a map, which is merged once
            each.merge()

    @torch.inference_mode()
    def _enter(self, images: np.ndarray) -> list[Tensor]:
        """What each block gets to see when nothing is cut: (n, tokens, d) each."""
        seen: list[Tensor] = []
        with precision(self._model.device), ExitStack() as hooks:
            for block in self._model.vit.blocks:
                # Before a prompt that enters there: the block adds it again when it is run.
                look = block.register_forward_pre_hook(lambda _, x: seen.append(x[0]), prepend=True)
                hooks.callback(look.remove)
            self._model.extract(images)
        return seen


def _check_levels(name: str, wanted: Sequence[int]) -> list[int]:
    if not (listed := checks.listed(name, wanted)):
        raise checks.fail(name, "ranks from 0, at least one", wanted)
    return sorted({checks.integer(name, level, 0) for level in listed})
