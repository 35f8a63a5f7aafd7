"""A PEFT LoRA adapter as the first task of FM-LoRA: later tasks learn in its subspace.

PEFT itself adds the adapter to a copy of the backbone, in float64. What it has changed is, map by
map, dW = U S V; with s = alpha / R, A = U, B = V and C_1 = S / s give back exactly s A C_1 B = dW
[ours; `adapters.bases.from_update` fills A and B up with random orthogonal directions].
"""

from __future__ import annotations

import copy
import warnings
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fmlora_kit import checks
from fmlora_kit.adapters import flora
from fmlora_kit.adapters.dmp import prompt_parameter
from fmlora_kit.adapters.head import SET_AFTERWARDS
from fmlora_kit.adapters.sites import Site, find_sites
from fmlora_kit.interchange.peft_export import CONFIG, WEIGHTS, load_peft
from fmlora_kit.methods import FMLoRA, Method
from fmlora_kit.streams import Task

HEAD = "base_model.model.head."  # a classifier saved with the adapter
NEGLIGIBLE = 1e-9  # of the largest singular value: float64 keeps 1e-16, the adapter's own 1e-7


def import_peft(
    folder: str | Path, backbone: VisionTransformer, n_classes: int, **options
) -> FMLoRA:
    """FM-LoRA whose first task is the PEFT LoRA adapter in ``folder``.

    Train it as any method. On the first task nothing of the backbone learns: its features are those
    of the PEFT model (with ``dmp=None``; the tokens of a prompt, small and random until the second
    task, come on top). The task's images set the head: "lda" and "ridge" from their statistics,
    "cosine" and "linear" by training its rows. A classifier saved with the adapter is left out.
    Records and resuming are those of `FMLoRA`.

    Args:
        folder: adapter_config.json and adapter_model.safetensors, as PEFT saves them for a timm
            ViT; on any of q, k, v (fused: qkv), proj, fc1 and fc2. Only files on disk are read.
        backbone: the ViT that the adapter was trained on.
        n_classes: see `Method`.
        options: see `FMLoRA`; ``flora``'s maps and blocks must cover all that the adapter changes.

    Raises:
        ImportError: peft is not installed.
        FileNotFoundError: a file of the adapter is missing.
        ValueError: it is no LoRA, does not fit the backbone, changes something that ``flora``
            leaves out, or has a rank above ``flora.max_rank``.
    """
    folder = checks.as_path("folder", folder)
    return _FromAdapter(backbone, n_classes, adapter=folder, **options)


class _FromAdapter(FMLoRA):
    def __init__(self, backbone, n_classes: int, *, adapter: Path, **options):
        find_sites(backbone)  # refuses what is no ViT before anything is read
        peft = load_peft()
        for name in (CONFIG, WEIGHTS):
            if not (adapter / name).is_file():  # PEFT would look for the folder's name on a hub
                both = f"{CONFIG} and {WEIGHTS}"
                raise FileNotFoundError(f"folder must hold {both}, found no {name} in {adapter}")
        crc = zlib.crc32((adapter / WEIGHTS).read_bytes())
        self.origin = f"a PEFT adapter's (CRC-32 {crc:08x})"
        super().__init__(backbone, n_classes, **options)
        if self.flora.bases != "task1":
            rule = "'task1', since the adapter gives them"
            raise ValueError(f"bases must be {rule}, got {self.flora.bases!r}")
        deltas = _deltas(peft, adapter, backbone, self.sites)
        rank = partial(torch.linalg.matrix_rank, rtol=NEGLIGIBLE)
        used = {name: int(rank(delta)) for name, delta in deltas.items()}
        worst, most = max(used, key=used.get), self.flora.max_rank
        if used[worst] > most:
            energy = torch.linalg.svdvals(deltas[worst]).square()
            raise ValueError(
                f"max_rank must be at least the adapter's rank {used[worst]} on {worst}, got {most}"
                f", which would lose {float(energy[most:].sum() / energy.sum()):.2%} of its energy "
                "there"
            )
        fill, self.imported = self.generator(0), {}
        for name, delta in deltas.items():
            bases = flora.from_update(delta / self.updates[name].scale, most, used[name], fill)
            self.imported[name] = used[name], *bases

    def begin_task(self, task: Task) -> None:
        """As FM-LoRA's; on the first task the adapter is put in, and its ranks are the ranks."""
        super().begin_task(task)
        if self.n_tasks_done:
            return
        for name, (r, a, b, core) in self.imported.items():
            update = self.updates[name]
            update.set_bases(a, b)
            pair = core[:, :r], torch.eye(len(core))[:r]
            update.m, update.n = (nn.Parameter(p.to(update.core), False) for p in pair)
        self.selector, self.ranks = None, [r for r, *_ in self.imported.values()]
        if self.dmp:
            prompt_parameter(self.vit).requires_grad_(False)
        self._open_head(task)  # class means of the adapted features

    def parts(self) -> list[nn.Parameter]:
        """Nothing on the first task; see `FMLoRA`."""
        return super().parts() if self.n_tasks_done else []

    def parameter_groups(self) -> list[dict]:
        """On the first task the head's rows, and only where training sets them; see `FMLoRA`."""
        if self.n_tasks_done:
            return super().parameter_groups()
        return [] if self.head.kind in SET_AFTERWARDS else Method.parameter_groups(self)

    def _trained_in_words(self) -> str:
        later = super()._trained_in_words().partition("later ")[2]
        return f"on the first task head rows alone, its update is {self.origin}; later {later}"


def _deltas(
    peft, folder: Path, backbone: VisionTransformer, sites: Sequence[Site]
) -> dict[str, Tensor]:
    """What the adapter adds to each map: by site name, (d_out, d_in), float64."""
    after = _merged(peft, folder, backbone)
    changed = {}
    for name, before in backbone.state_dict().items():
        difference = after[name] - before.detach().cpu().to(after[name])
        if not difference.isfinite().all():
            raise ValueError(f"adapter must be finite, got a change of {name} that is not")
        if not name.startswith("head.") and difference.any():
            changed[name] = difference
    deltas = {}
    for site in sites:
        whole = changed.get(f"{site.path}.weight")
        if whole is None:
            deltas[site.name] = torch.zeros(site.d_out, site.d_in, dtype=torch.float64)
        else:
            deltas[site.name] = whole[site.rows].clone()
            whole[site.rows] = 0
    left = [name for name, difference in changed.items() if difference.any()]
    if left:
        maps = tuple(dict.fromkeys(site.name.split(".")[-1] for site in sites))
        raise ValueError(
            f"maps and blocks must cover all that the adapter changes, got {maps} in blocks "
            f"{sorted({site.block for site in sites})}, but it also changes "
            f"{_changed_part(left[0], changed[left[0]])} ({len(left)} tensors in all)"
        )
    return deltas


def _merged(peft, folder: Path, backbone: VisionTransformer) -> Mapping[str, Tensor]:
    """The state of a float64 copy of ``backbone`` with the adapter added by PEFT."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is refused below
            tuned = _with_adapter(peft, folder, copy.deepcopy(backbone).cpu().double())
        with safe_open(folder / WEIGHTS, "pt") as opened:
            keys = opened.keys()  # a method of safetensors', which no `in` takes
            stored = {key for key in keys if not key.startswith(HEAD)}
        known = set(peft.get_peft_model_state_dict(tuned))
        merged = tuned.merge_and_unload().state_dict()
    except Exception as error:  # a stranger's files may break anything in PEFT
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ValueError(f"adapter must fit the backbone; PEFT says: {reason}") from error
    odd = sorted(stored ^ known)
    if odd:
        one = f"{odd[0]!r} is on one side only ({len(odd)} tensors in all)"
        raise ValueError(f"adapter must fit the backbone, but {one}")
    return merged


def _with_adapter(peft, folder: Path, plain: VisionTransformer) -> nn.Module:
    config = peft.PeftConfig.from_pretrained(str(folder))
    if config.peft_type != peft.PeftType.LORA:
        raise ValueError(f"adapter must be a LoRA, got one of type {config.peft_type}")
    config.base_model_name_or_path = None  # PEFT would ask a hub for it
    if set(config.modules_to_save or ()) == {"head"}:
        config.modules_to_save = None
    return peft.PeftModel.from_pretrained(plain, str(folder), config=config)


def _changed_part(name: str, difference: Tensor) -> str:
    """A changed tensor in words; of a fused qkv map the part whose rows have changed."""
    if not name.endswith("attn.qkv.weight"):
        return name
    parts = zip("qkv", difference.chunk(3), strict=True)
    return f"{name} ({', '.join(part for part, rows in parts if rows.any())})"
