"""A participant's function really runs inside the kit, and the figure says what came of it."""

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers import models
from helpers.workshop_answers import MISTAKES, RIGHT

import fmlora_kit as fk
from fmlora_kit.adapters.flora import FactorizedUpdate
from fmlora_kit.analysis import accuracy
from fmlora_kit.methods import HeadOptions
from fmlora_kit.workshop import payoffs, runs
from fmlora_kit.workshop.checks import PROBES
from fmlora_kit.workshop.judge import Result

CALLS = {
    "E1": payoffs.forgetting,
    "E2": payoffs.core,
    "E3": payoffs.gate,
    "E4": payoffs.outer_step,
    "E5": lambda *functions: payoffs.angles(*functions, 0, 1),
}
# A mistake that the figure of the pay-off must show, if the checks let it through.
SEEN = {
    "forgetting_max": "sum",
    "forgetting_first": "division by T",
    "forgetting_step": "sum of steps",
    "fold": "replaced",
    "merge": "sign",
    "unmerge": "nothing",
    "prefixes": "reversed",
    "choose": "gradient turned",
    "outer_step": "novelty forgotten",
    "principal_angles": "radians",
    "chance_overlap": "wrong space",
}
EXERCISE = {name: exercise for exercise, names in PROBES.items() for name in names}
every_exercise = pytest.mark.parametrize("exercise", CALLS)


@pytest.fixture(scope="module")
def tiny():
    """The afternoon's runs on a random ViT of two blocks: a second instead of many."""
    stream = models.stream(3, n_train=10)

    def model(method="fmlora", **_):
        backbone = models.vit().double()
        if method == "sequential_lora":
            return fk.SequentialLoRA(backbone, stream.n_classes, rank=2)
        flora = fk.FLoRA(max_rank=8, maps=("q", "v"), protect=0.0)
        options = {"flora": flora, "step": "novelty", "lr": 5e-3, "head": HeadOptions("lda")}
        return fk.FMLoRA(backbone, stream.n_classes, drs=fk.DRS(scaling="fixed"), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "stream", lambda: stream)
        patch.setattr(runs, "model", model)
        runs.reference.cache_clear()
        yield
        runs.reference.cache_clear()


def said(figure):
    return figure.layout.title.subtitle.text.split("<br>")[0]


@pytest.mark.parametrize("which", [0, 1, 3])
@every_exercise
def test_what_is_right_gives_the_kits_own_figure(exercise, which, tiny):
    figure = CALLS[exercise](*(RIGHT[name][which] for name in PROBES[exercise]))
    assert isinstance(figure, go.Figure)
    if (exercise, which) == ("E5", 0):  # drawn at random: as near as it was drawn
        assert "from the kit's" in said(figure)
    else:
        assert said(figure).startswith("<b>With your functions: equal to the kit's.</b>")


@pytest.mark.parametrize("name", SEEN)
def test_what_is_wrong_shows_if_the_checks_are_left_out(name, tiny, monkeypatch):
    monkeypatch.setattr(payoffs, "_failed", lambda functions: None)
    functions = {f: RIGHT[f][1] for f in PROBES[EXERCISE[name]]}
    functions[name] = MISTAKES[name][SEEN[name]][0]
    line = said(CALLS[EXERCISE[name]](*functions.values()))
    if name in ("merge", "unmerge"):
        n = sum(len(task.test_images) for task in runs.stream())
        assert f"{n} of {n} predictions as before" not in line or "off by 0.000" not in line
    else:
        assert "equal to" not in line


@pytest.mark.parametrize("name", SEEN)
def test_what_the_checks_do_not_accept_is_not_run(name, monkeypatch):
    monkeypatch.setattr(runs, "model", None)
    monkeypatch.setattr(runs, "reference", None)
    functions = {f: RIGHT[f][1] for f in PROBES[EXERCISE[name]]}
    functions[name] = MISTAKES[name][SEEN[name]][0]
    found = CALLS[EXERCISE[name]](*functions.values())
    assert isinstance(found, Result) and found.name == name and not found.passed


def test_the_kit_is_as_before_afterwards(tiny):
    before = FactorizedUpdate.fold, accuracy.forgetting_max
    payoffs.core(*(RIGHT[name][1] for name in PROBES["E2"]))
    payoffs.forgetting(*(RIGHT[name][1] for name in PROBES["E1"]))
    assert (FactorizedUpdate.fold, accuracy.forgetting_max) == before


def test_a_function_that_the_kit_never_asks_pays_nothing_off():
    put = (accuracy, "forgetting_max", lambda a: 0.0)
    with pytest.raises(RuntimeError, match="never asked for forgetting_max"):
        with payoffs.in_place_of(put):
            pass
    with payoffs.in_place_of(put):
        assert accuracy.drift_forgetting(np.eye(2)) == 0.0
