"""FM-LoRA: F-LoRA + DRS + DMP on one frozen ViT (arXiv 2504.08823; no public code exists).

`adapters.flora`  W_t = W0 + s A C_t B, one core C_t for all tasks                      [paper]
`adapters.drs`    r_t from the task's complexity, by Gumbel-Softmax over nested gates   [paper]
`adapters.dmp`    a shared prompt P of L tokens                                         [paper]
`adapters.outer_step`  C_t = C_{t-1} + eta_t M_t N_t, P_t = P_{t-1} + eta_t (P_fast - P_{t-1})
                                                    [paper with eta_t = 1, the schedule ours]

No sample and no feature of an earlier task is kept. Between tasks, only for training, there are a
small feature subspace per task (DRS novelty) and, with ``protect``, an R x R moment per map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fmlora_kit.adapters import dmp as dmp_rules
from fmlora_kit.adapters import flora as shared
from fmlora_kit.adapters.drs import (
    SCALINGS,
    Complexity,
    RankSelector,
    check_candidates,
    difficulty,
    feature_subspace,
    novelty,
)
from fmlora_kit.adapters.flora import FactorizedUpdate
from fmlora_kit.adapters.head import SET_AFTERWARDS
from fmlora_kit.adapters.outer_step import STEPS, outer_step
from fmlora_kit.adapters.protection import protection
from fmlora_kit.adapters.sites import attach, base_weight, find_sites, linear_maps
from fmlora_kit.checks import Count, Positive, Share, Weight, check_fields, checked, fail, one_of
from fmlora_kit.methods.base import HeadOptions, Method, factors_of, numpy, tensor
from fmlora_kit.streams.task import Task

_BASES, _PAIR, _PROMPT, _GUMBEL = range(1, 5)  # what randomness is for


class _Options:
    """Options of a part: checked when made, and noted in records."""

    # Those that older records do not name, with what they mean by it.
    when_missing: ClassVar[Mapping[str, object]] = {}

    def __post_init__(self) -> None:
        check_fields(self)

    def describe(self) -> dict:
        """All fields but those whose value is what naming none means."""
        missing = self.when_missing
        return {k: v for k, v in asdict(self).items() if k not in missing or v != missing[k]}


@dataclass(frozen=True)
class FLoRA(_Options):
    """The shared subspace.

    Attributes:
        max_rank: R, the width of the shared bases and of the core.
        alpha: updates are scaled by alpha / R; None means alpha = R.
        bases: where A and B come from, one of `adapters.bases.BASES` [ours].
        protect: share of earlier tasks' energy inside the core that new updates keep away from
            [ours].
        fold: share of a later task's pair that enters the core: the outer step "parts" [ours].
        maps: which linear maps of each block are adapted; None: all that every block has.
        blocks: which blocks are adapted, rising; None: every one. The meta-prompt enters before
            the first of them, so that all before it is the frozen backbone alone [ours].
    """

    max_rank: Count = 64
    alpha: Positive | None = None
    bases: Annotated[str, one_of(shared.BASES)] = "task1"
    protect: Share = 0.0
    fold: Share = 0.25
    maps: tuple[str, ...] | None = None
    blocks: tuple[int, ...] | None = None
    when_missing: ClassVar[Mapping[str, object]] = {"blocks": None}


@dataclass(frozen=True)
class DRS(_Options):
    """The dynamic rank selector.

    Attributes:
        candidates: ranks to choose from; None means R/8, 2R/8, .. and R.
        weight: lambda of the rank penalty lambda E[r] / R.
        warm_up: share of a task's steps after which the choice is fixed.
        temperatures: of the Gumbel-Softmax at the start and at the end of the warm-up.
        per_layer: one rank per adapted map [ours]; else one per task.
        lr: learning rate of the preferences.
        scaling: of a pair of rank r, one of `adapters.drs.SCALINGS`: with "fixed" (alpha / R) a
            small rank learns less in as many steps, with LoRA's alpha / r as much; "rslora" is
            the middle way [ours].
        first_task: whether the first task's rank is chosen as well; else it gets R, so that what
            makes the bases fills them [ours].
    """

    candidates: tuple[int, ...] | None = None
    weight: Weight = 0.01
    warm_up: Share = 0.5
    temperatures: tuple[Positive, Positive] = (2.0, 0.3)
    per_layer: bool = True
    lr: Weight = 0.1
    scaling: Annotated[str, one_of(SCALINGS)] = "rslora"
    first_task: bool = True
    when_missing: ClassVar[Mapping[str, object]] = {"scaling": "fixed", "first_task": True}

    def ranks(self, max_rank: int) -> tuple[int, ...]:
        """The candidates for R = ``max_rank``; raise ValueError if they do not end at R."""
        default = tuple(sorted({max(1, max_rank * k // 8) for k in range(1, 9)}))
        candidates = default if self.candidates is None else self.candidates
        check_candidates(candidates)
        if candidates[-1] != max_rank:
            raise fail("candidates", f"ranks that end at max_rank {max_rank}", candidates)
        return candidates


@dataclass(frozen=True)
class DMP(_Options):
    """The dynamic meta-prompt.

    Attributes:
        length: L, prompt tokens.
        update: "reptile" (fast prompts, outer step) or "slow" (P itself trains, at a reduced rate)
            [ours].
        eta: reduced rate of "slow" after the first task, and, times the novelty, the step of
            "reptile" where the outer step is "parts".
        pull: strength of the pull towards the previous prompt, only for "slow".
        lr: learning rate of the prompt.
    """

    length: Count = 4
    update: Annotated[str, one_of(dmp_rules.UPDATES)] = "reptile"
    eta: Share = 0.5
    pull: Weight = 1.0
    lr: Weight = 5e-3


class FMLoRA(Method):
    """FM-LoRA.

    Args:
        backbone, n_classes, options: see `Method` (lr, head_lr, head, seed).
        flora: the shared subspace.
        drs: the rank selector; None gives every task the full rank.
        dmp: the meta-prompt; None uses no prompt.
        step: schedule of the outer step of core and prompt, one of `adapters.outer_step.STEPS`
            [ours]; with "parts" the core's is ``flora.fold``, the prompt's ``dmp.eta`` x novelty.

    Raises:
        ValueError: ``max_rank`` above a layer's width, no timm ViT, a number out of range.
    """

    name = "fmlora"
    keeps_first_blocks = True
    default_lr = 2e-3
    default_head = HeadOptions("mda", compensate=True)
    when_missing = {**Method.when_missing, "step": "parts"}
    frozen = (
        "the backbone; the shared bases once set; the core of earlier tasks; head rows of other "
        "classes"
    )
    # Directions and moments are statistics: no feature of an image can be read off them.
    stores = "at most 3 feature directions per task"

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        flora: FLoRA | None = None,
        drs: DRS | None = DRS(),  # noqa: B008 - a frozen value; None means off
        dmp: DMP | None = DMP(),  # noqa: B008
        step: Annotated[str, one_of(STEPS)] = "difficulty",
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        flora = checked("flora", flora, FLoRA | None) or FLoRA()
        if flora.maps is None:
            flora = replace(flora, maps=linear_maps(self.vit))
        self.set_options(flora=flora, drs=drs, dmp=dmp, step=step)
        rank = self.flora.max_rank
        alpha = float(rank if self.flora.alpha is None else self.flora.alpha)
        self.sites = find_sites(self.vit, self.flora.maps, self.flora.blocks)
        self.updates = {s.name: FactorizedUpdate(s.d_in, s.d_out, rank, alpha) for s in self.sites}
        self.candidates = drs.ranks(rank) if drs else (rank,)
        attach(self.vit, self.sites, self.updates)
        if dmp:
            noise, first = self.generator(_PROMPT), self.sites[0].block
            dmp_rules.add_prompt(self.vit, dmp.length, noise, first)
        # A head of class statistics is set after the outer steps; others must train on them still.
        self.settle_at = 1.0 if self.head.kind in SET_AFTERWARDS else 0.7
        self.moments: dict[str, Tensor] = {}  # second moments of z = B x, only to protect
        if self.flora.protect:
            self.stores = f"second moments of the core (constant size); {self.stores}"
            zeros = partial(torch.zeros, rank, rank, dtype=torch.float64)
            self.moments = {s.name: zeros() for s in self.sites}
        self.subspaces: list[np.ndarray] = []
        self.novelties: list[float] = []  # of all tasks but the first
        self.selector: RankSelector | None = None
        self.trained = self._trained_in_words()

    def __setstate__(self, state: dict) -> None:
        """What `copy.deepcopy` and pickle make of it learns on exactly as the original."""
        super().__setstate__(state)
        if self.dmp:
            dmp_rules.keep_own_registers(self.vit, self.dmp.length)

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """Measure the task's complexity, open fresh pairs, keep the prompt to come back to."""
        self.unmerge()
        features = self.extract(task.train_images)
        self._open_head(task, features)
        seen = features.numpy(), task.train_labels
        new = novelty(feature_subspace(*seen), self.subspaces)
        complexity = Complexity(difficulty(*seen), new)
        self.scalars = {**asdict(complexity), "complexity": complexity.h}
        if self.step != "parts":
            eta = outer_step(self.step, self.n_tasks_done + 1, complexity, self.novelties)
            self.scalars["outer_step"] = eta
        self._open_pairs(task)
        self.settled, self.watched, self.ranks_fixed = False, {}, False
        self.selector, self.ranks = None, [self.flora.max_rank] * len(self.sites)
        if self.drs and (self.n_tasks_done or self.drs.first_task):
            options = {"complexity": complexity.h, "per_layer": self.drs.per_layer}
            selector = RankSelector(len(self.sites), self.candidates, **options)
            self.selector = selector.to(self.pixel_mean)
            self.gumbel = self.generator(_GUMBEL, self.n_tasks_done)
        if self.dmp:
            self.prompt_before = self.prompt.detach().clone()
            dmp_rules.prompt_parameter(self.vit).requires_grad_(True)

    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy + lambda E[r] / R while ranks are chosen + the prompt's pull."""
        extra = 0.0 if self.selector is None else self._set_gates(progress)
        if self.dmp and self.dmp.update == "slow" and self.n_tasks_done:
            extra = extra + self.dmp.pull * (self.prompt - self.prompt_before).square().sum()
        if progress >= self.settle_at and not self.settled:
            self._settle()
        return super().loss(images, labels) + extra

    @torch.no_grad()
    def end_task(self, task: Task) -> None:
        """Fix the ranks, fold the pairs into the core, and note what the task excited."""
        if self.selector is not None:
            self.ranks = self.selector.choice()
        if not self.settled:
            self._settle()
        self.pairs = {}
        for site, r in zip(self.sites, self.ranks, strict=True):
            self.pairs[site.name] = self._fold(self.updates[site.name], r)
        if self.moments:
            features, moments = self._look_at(task)
        else:
            features, moments = self.extract(task.train_images), {}
        if self.n_tasks_done:
            self.novelties.append(self.scalars["novelty"])
        self._close_head(task, features)
        self._remember(features, moments, task)
        self.selector = None

    def watch(self) -> dict[str, np.ndarray] | Callable[[], dict[str, np.ndarray]]:
        """While ranks are chosen: temperature (), gate probabilities (L, K), E[r] (L,)."""
        return self.watched

    def parts(self) -> list[nn.Parameter]:
        """The pairs (on the first task, with bases "task1", the bases themselves)."""
        return [p for update in self.updates.values() for p in update.parts() if p.numel()]

    def parameter_groups(self) -> list[dict]:
        """Pairs, head rows, prompt and rank preferences, each with its learning rate."""
        groups = super().parameter_groups()
        if self.dmp:
            slow = self.dmp.eta if self.n_tasks_done and self.dmp.update == "slow" else 1.0
            prompt = dmp_rules.prompt_parameter(self.vit)
            groups.append({"params": [prompt], "lr": self.dmp.lr * slow})
        if self.selector is not None:
            groups.append({"params": list(self.selector.parameters()), "lr": self.drs.lr})
        return groups

    def snapshot(self) -> dict[str, np.ndarray]:
        """The task's pairs, prompt, head, training state; after the first task also the bases."""
        arrays = super().snapshot()
        for name, (m, n) in self.pairs.items():
            arrays |= {f"{name}.m": numpy(m), f"{name}.n": numpy(n)}
        arrays |= {f"{name}.moment": moment.numpy().copy() for name, moment in self.moments.items()}
        if self.n_tasks_done == 1:
            arrays |= factors_of(self.updates)
        if self.dmp:
            arrays["prompt"] = numpy(self.prompt)
        if self.drs:
            arrays["drs.candidates"] = np.array(self.candidates)
        arrays["subspace"] = self.subspaces[-1].copy()
        if self.step == "novelty":
            arrays["novelties"] = np.array(self.novelties)
        return arrays

    @torch.no_grad()
    def restore(self, task_classes: Sequence[int], state: dict[str, np.ndarray]) -> None:
        """Fold the task's pairs exactly as they were folded then."""
        first = self.n_tasks_done == 0
        super().restore(task_classes, state)
        for name, update in self.updates.items():
            m, n = (tensor(state[f"{name}.{k}"]) for k in "mn")
            if first:
                update.set_bases(*(tensor(state[f"{name}.{k}"]) for k in "ab"))
            update.fold(m.to(self.device), n.to(self.device))
        for name in self.moments:
            self.moments[name] = tensor(state[f"{name}.moment"])
        if self.dmp:
            self.prompt.copy_(tensor(state["prompt"]))
        self.subspaces.append(state["subspace"])
        self.novelties = state.get("novelties", np.zeros(0)).tolist()

    # --- sizes -----------------------------------------------------------------------------------
    @property
    def prompt(self) -> Tensor:
        """P: (L, d)."""
        return dmp_rules.prompt_of(self.vit, self.dmp.length)

    @property
    def n_training_state(self) -> int:
        """Feature subspaces (d x k a task), and second moments of the core (constant size)."""
        kept = sum(m.numel() for m in self.moments.values()) + sum(s.size for s in self.subspaces)
        kept += len(self.novelties) * (self.step == "novelty")
        return super().n_training_state + kept

    def _deployed_buffers(self) -> list[Tensor]:
        return [buffer for u in self.updates.values() for buffer in (u.a, u.b, u.core)]

    def _trained_in_words(self) -> str:
        pairs = "a pair M, N per adapted map"
        if self.flora.bases == "task1":
            pairs = f"on the first task the shared bases A, B, later {pairs}"
        parts = [pairs, *(["the prompt tokens"] if self.dmp else [])]
        if self.drs:
            parts.append(f"rank preferences until {self.drs.warm_up:.0%} of a task")
        parts.append("the task's head rows")
        if self.settle_at < 1:
            parts.append(f"after {self.settle_at:.0%} of a task these alone")
        return "; ".join(parts)

    # --- steps of a task -------------------------------------------------------------------------
    def _open_pairs(self, task: Task) -> None:
        first = self.n_tasks_done == 0
        start = self.generator(_PAIR, self.n_tasks_done)
        if first:
            self._choose_bases(task)
        n_full = 0
        for name, update in self.updates.items():
            if first and self.flora.bases == "task1":
                continue
            rank, guard = self.flora.max_rank, torch.eye(self.flora.max_rank)
            if self.moments and not first:
                guard = protection(self.moments[name], self.flora.protect)
            n_full += guard.trace() < 0.5  # the number of directions left free
            update.protection = guard.to(update.core)
            update.open(rank, start)
        if n_full:
            self.scalars["core_full"] = float(n_full) / len(self.updates)

    def _choose_bases(self, task: Task) -> None:
        how, rank = self.flora.bases, self.flora.max_rank
        noise = self.generator(_BASES)
        moments = self._look_at(task)[1] if how == "activation" else {}
        for site in self.sites:
            update, weight = self.updates[site.name], base_weight(self.vit, site).cpu()
            if how == "task1":
                update.learn_bases(noise)
            elif how == "pretrained":
                update.set_bases(*shared.from_weight(weight, rank))
            elif how == "activation":
                update.set_bases(*shared.from_moment(weight, moments[site.name], rank))
            else:
                update.set_bases(*shared.from_noise(weight, rank, noise))

    def _set_gates(self, progress: float) -> Tensor | float:
        choosing = progress < self.drs.warm_up
        self.watched = {}
        if choosing:
            high, low = self.drs.temperatures
            temperature = high * (low / high) ** (progress / self.drs.warm_up)
            gates = self.selector.sample(temperature, self.gumbel)
            probabilities = self.selector.probabilities().detach()
            self.watched = partial(_trace, temperature, probabilities, self.candidates)
        elif self.ranks_fixed:
            return 0.0  # the preferences rest, and so do the gates
        else:
            self.ranks_fixed = True
            columns = torch.arange(self.flora.max_rank, device=self.device)
            chosen = torch.tensor(self.selector.choice(), device=self.device)
            gates = (columns < chosen[:, None]).to(self.pixel_mean)
        for site, gate in zip(self.sites, gates, strict=True):
            self.updates[site.name].gates = self._scaled(gate)
        return self.drs.weight * self.selector.expected_share() if choosing else 0.0

    def _scaled(self, gate: Tensor) -> Tensor:
        """The gate (R,) of a pair, times what its scaling makes of alpha / R."""
        if self.drs.scaling == "fixed":
            return gate
        return gate * (self.flora.max_rank / gate.detach().sum()) ** SCALINGS[self.drs.scaling]

    @torch.no_grad()
    def _settle(self) -> None:
        """The outer steps of core and prompt; from here on only the head is trained."""
        later = self.n_tasks_done > 0
        for update in self.updates.values():
            if later:
                update.m.mul_(self.scalars.get("outer_step", self.flora.fold))
            for part in update.parts():
                part.requires_grad_(False)
        if self.dmp:
            if later and self.dmp.update == "reptile":
                eta = self.scalars.get("outer_step", self.dmp.eta * self.scalars["novelty"])
                self.prompt.copy_(dmp_rules.reptile(self.prompt_before, self.prompt, eta))
            moved = (self.prompt - self.prompt_before).norm() / self.prompt_before.norm()
            self.scalars["prompt_shift"] = float(moved)
            dmp_rules.prompt_parameter(self.vit).requires_grad_(False)
        self.settled = True

    def _fold(self, update: FactorizedUpdate, r: int) -> tuple[Tensor, Tensor]:
        rank = self.flora.max_rank
        if self.selector is not None:  # else all columns of the pair are open
            gate = torch.arange(rank, device=self.device).lt(r).to(update.core)
            update.gates = self._scaled(gate)
        if update.learning_bases:
            delta = update.delta().cpu() / update.scale
            a, b, core = shared.from_update(delta, rank, r, self.generator(_BASES, 1))
            update.set_bases(a, b)
            m, n = core[:, :r].to(update.core), torch.eye(rank).to(update.core)[:r]
        else:
            update.cut(r)
            m, n = update.pair()
        update.fold(m, n)
        return m, n

    def _remember(self, features: Tensor, moments: dict[str, Tensor], task: Task) -> None:
        self.subspaces.append(feature_subspace(features.numpy(), task.train_labels))
        done = self.n_tasks_done
        for name, moment in moments.items():
            b = self.updates[name].b.cpu().double()
            self.moments[name] = (self.moments[name] * (done - 1) + b @ moment @ b.T) / done


def _trace(temperature: float, probabilities: Tensor, ranks: tuple) -> dict[str, np.ndarray]:
    every = {"temperature": np.array(temperature), "probabilities": numpy(probabilities)}
    every["expected_rank"] = every["probabilities"] @ np.array(ranks)
    return {f"drs.{name}": values for name, values in every.items()}
