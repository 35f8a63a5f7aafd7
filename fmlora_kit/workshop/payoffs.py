"""The pay-off of an exercise: the participant's function in the place of the kit's, in a real run.

Each function first asks the checks; what they do not accept goes no further, and their `Result`
comes back. Else the participant's functions are put into the kit while the small run of `runs` is
trained or measured, and the figure says whether it came out as the kit's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

import fmlora_kit as fk
from fmlora_kit.adapters import dmp
from fmlora_kit.adapters.drs import Complexity, RankSelector
from fmlora_kit.adapters.flora import FactorizedUpdate
from fmlora_kit.adapters.sites import AdaptedLinear, adapted_maps
from fmlora_kit.analysis import accuracy, subspaces
from fmlora_kit.methods import fmlora
from fmlora_kit.workshop import checks, runs
from fmlora_kit.workshop.judge import Result, as_array

ROUNDING = 1e-3  # of a figure's numbers: a function in float32 is the same function


def forgetting(maximum: Callable, first: Callable, step: Callable) -> go.Figure | Result:
    """E1: forgetting by every definition, FM-LoRA and sequential LoRA, measured by theirs."""
    theirs = {"forgetting_max": maximum, "forgetting_first": first, "forgetting_step": step}
    if (failed := _failed(theirs)) is not None:
        return failed
    records = {"FM-LoRA": runs.reference(), "sequential LoRA": runs.reference("sequential_lora")}
    put = [(accuracy, name, _number(function)) for name, function in theirs.items()]
    kits = fk.figures.forgetting_definitions(records)
    with in_place_of(*put):
        return _signed(fk.figures.forgetting_definitions(records), kits)


def core(fold: Callable, merge: Callable, unmerge: Callable) -> go.Figure | Result:
    """E2: a run that folds with theirs; then all is merged by theirs, tested, and unmerged."""
    if (failed := _failed({"fold": fold, "merge": merge, "unmerge": unmerge})) is not None:
        return failed
    model = runs.model()
    with in_place_of(*_core_put(fold, merge, unmerge)):
        record = fk.run(model, runs.stream(), runs.BUDGET, show_progress=False)
        images = np.concatenate([task.test_images for task in runs.stream()])
        weights = [linear.base.weight for linear in adapted_maps(model.vit).values()]
        frozen, apart = [weight.clone() for weight in weights], model.logits(images)
        model.merge()
        merged = model.logits(images)
        model.unmerge()
    off = max(float((a - b).abs().max()) for a, b in zip(weights, frozen, strict=True))
    same = int(np.sum(merged.argmax(1) == apart.argmax(1)))
    figure = fk.figures.accuracy_matrix(record)
    extra = f" Merged: {same} of {len(images)} predictions as before. Unmerged: off by {off:.3f}."
    return _signed(figure, fk.figures.accuracy_matrix(runs.reference()), extra)


def gate(prefixes: Callable, choose: Callable) -> go.Figure | Result:
    """E3: ranks chosen by theirs; how likely each was for the second task, step by step."""
    if (failed := _failed({"prefixes": prefixes, "choose": choose})) is not None:
        return failed
    with in_place_of((RankSelector, "sample", _sample(prefixes, choose))):
        record = runs.run()
    figures = [fk.figures.gate_probabilities(r, 1) for r in (record, runs.reference())]
    return _signed(*figures)


def outer_step(function: Callable) -> go.Figure | Result:
    """E4: prompt and core stepped by theirs; how far each task moved the prompt."""
    if (failed := _failed({"outer_step": function})) is not None:
        return failed
    with in_place_of(*_step_put(function)):
        record = runs.run()
    return _signed(*map(fk.figures.prompt_movement, (record, runs.reference())))


def angles(
    principal_angles: Callable, chance_overlap: Callable, first: str, second: str
) -> go.Figure | Result:
    """E5: two tasks' updates, their angles and overlap by theirs, against their chance."""
    theirs = {"principal_angles": principal_angles, "chance_overlap": chance_overlap}
    if (failed := _failed(theirs)) is not None:
        return failed
    record = runs.reference()
    kits = fk.figures.subspace_pair(record, first, second)
    with in_place_of(*_angles_put(principal_angles, chance_overlap)):
        # What the kit measured of this very record, it would only look up.
        return _signed(fk.figures.subspace_pair(replace(record), first, second), kits)


@contextmanager
def in_place_of(*put: tuple[object, str, Callable]) -> Iterator[None]:
    """Put functions (owner, name, function) into the kit for the while.

    Raises:
        RuntimeError: one of them was never asked, so that its pay-off would say nothing.
    """
    asked = set()
    with ExitStack() as stack:
        for owner, name, function in put:
            heard = _heard(function, lambda name=name: asked.add(name))
            stack.enter_context(mock.patch.object(owner, name, heard))
        yield
    if unasked := {name for _, name, _ in put} - asked:
        raise RuntimeError(f"the kit never asked for {', '.join(sorted(unasked))}")


def _heard(function: Callable, tell: Callable[[], None]) -> Callable:
    def heard(*args, **settings):
        tell()
        return function(*args, **settings)

    return heard


def _failed(functions: dict[str, Callable]) -> Result | None:
    results = (checks.check(name, function) for name, function in functions.items())
    return next((result for result in results if not result), None)


def _number(function: Callable) -> Callable:
    return lambda a: float(as_array(function(accuracy._finished(a))))


def _like(value: object, tensor: Tensor) -> Tensor:
    """What a participant's function gave, as a tensor like the kit's own."""
    return (value if isinstance(value, Tensor) else torch.as_tensor(np.array(value))).to(tensor)


def _core_put(fold: Callable, merge: Callable, unmerge: Callable) -> list[tuple]:
    @torch.no_grad()
    def folded(update: FactorizedUpdate, m: Tensor, n: Tensor) -> None:
        update.core = _like(fold(update.core, m, n), update.core)
        update.open(0, torch.Generator())

    @torch.no_grad()
    def through(function: Callable, linear: AdaptedLinear) -> None:
        weight = linear.base.weight
        for rows, update in zip(linear.rows, linear.updates, strict=True):
            parts = (update.a, update.core, update.b, update.scale)
            weight[rows] = _like(function(weight[rows].clone(), *parts), weight)

    def merged(linear: AdaptedLinear) -> None:
        if linear.unmerged_weight is None:
            linear.unmerged_weight = linear.base.weight.detach().clone()
            through(merge, linear)

    def unmerged(linear: AdaptedLinear) -> None:
        if linear.unmerged_weight is not None:
            through(unmerge, linear)
            linear.unmerged_weight = None

    return [
        (FactorizedUpdate, "fold", folded),
        (AdaptedLinear, "merge", merged),
        (AdaptedLinear, "unmerge", unmerged),
    ]


def _sample(prefixes: Callable, choose: Callable) -> Callable:
    def sample(selector: RankSelector, temperature: float, generator: torch.Generator) -> Tensor:
        logits = selector.preference + selector.prior
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-9).to(logits)
        open_columns = _like(prefixes(selector.ranks.int()), logits)
        gates = choose(logits, uniform, temperature).to(logits) @ open_columns
        return gates.expand(selector.n_layers, -1)

    return sample


def _step_put(function: Callable) -> list[tuple]:
    known = {}

    def eta(schedule: str, t: int, complexity: Complexity, earlier: list[float]) -> float:
        known.update(t=t, novelty=complexity.novelty, earlier=list(earlier))
        ends = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        return float(as_array(function(*ends, *known.values()))[0])

    def prompt(before: Tensor, fast: Tensor, eta: float) -> Tensor:
        return _like(function(before, fast, *known.values()), fast)

    return [(fmlora, "outer_step", eta), (dmp, "reptile", prompt)]


def _angles_put(principal_angles: Callable, chance_overlap: Callable) -> list[tuple]:
    def found(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        some = min(one.shape[1], other.shape[1])
        return as_array(principal_angles(one, other)) if some else np.zeros(0)

    def chance(earlier: np.ndarray, k: int, where: np.ndarray | None) -> float:
        room = np.eye(len(earlier)) if where is None else where
        some = min(k, earlier.shape[1])
        return float(as_array(chance_overlap(earlier, k, room))) if some else float("nan")

    return [(subspaces, "_angles", found), (subspaces, "expected_overlap", chance)]


def _signed(theirs: go.Figure, kits: go.Figure, extra: str = "") -> go.Figure:
    """Their figure, which says in its title how far its numbers are from those of the kit's."""
    off = _largest_difference(theirs, kits)
    equal = "equal to the kit's" if off <= ROUNDING else f"up to {off:.2g} from the kit's"
    title = theirs.layout.title
    said = f"<b>With your functions: {equal}.</b>{extra}<br>{title.subtitle.text or ''}"
    title.subtitle.text = said
    theirs.update_layout(margin_t=(theirs.layout.margin.t or 70) + 25)
    return theirs


def _largest_difference(one: go.Figure, other: go.Figure) -> float:
    """Between any two numbers of two figures' traces; infinite where they differ otherwise."""
    mine, kits = _traces(one), _traces(other)
    if [array.shape for array in mine] != [array.shape for array in kits]:
        return float("inf")
    off = 0.0
    for a, b in zip(mine, kits, strict=True):
        if a.dtype.kind in "fiu" and a.size:
            off = max(off, float(np.nan_to_num(np.abs(a - b.astype(float))).max()))
        elif a.dtype.kind not in "fiu" and a.tolist() != b.tolist():
            return float("inf")
    return off


def _traces(figure: go.Figure) -> list[np.ndarray]:
    return [np.array(t[axis]) for t in figure.data for axis in ("x", "y", "z") if axis in t]
