"""Options of methods and budgets: types come before ranges, and errors say what is wanted."""

import numpy as np
import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions

WRONG = {
    "text": (lambda: models.build("inflora", rank="3"), "rank must be a whole .* got '3'"),
    "seed": (lambda: models.build("l2p", seed=-1), "seed must be at least 0, got -1"),
    "truth": (lambda: models.build("l2p", seed=True), "seed must be a whole .* got True"),
    "nan": (lambda: models.build("l2p", lr=float("nan")), "lr must be a finite .* got nan"),
    "alpha": (
        lambda: models.build("sequential_lora", alpha="0.1"),
        "alpha must .* None, got '0.1'",
    ),
    "classes": (lambda: models.build("l2p", n_classes=2.0), "n_classes must be a whole .* got 2.0"),
    "drs": (lambda: fk.FMLoRA(models.vit(), 9, drs={}), "drs must be an instance of DRS.* got {}"),
    "dmp": (lambda: fk.FMLoRA(models.vit(), 9, dmp={}), "dmp must be an instance of DMP.* got {}"),
    "flora": (lambda: fk.FMLoRA(models.vit(), 9, flora={}), "flora must be .* FLoRA.* got {}"),
    "head": (
        lambda: fk.L2P(models.vit(), 9, head="lda"),
        "head must be .* HeadOptions.* got 'lda'",
    ),
    "compensate": (
        lambda: HeadOptions("ridge", compensate=True),
        "compensate must be False but for lda and mda, got 'ridge'",
    ),
    "modes": (lambda: HeadOptions("mda", modes=0), "modes must be .* got 0"),
    "step": (lambda: models.fmlora(step="1/t^2"), "step must be one of .* got '1/t.2'"),
    "kind": (lambda: HeadOptions("mlp"), "kind must be one of .* got 'mlp'"),
    "list": (
        lambda: fk.SDLoRA(models.vit(), 9, later_ranks=8),
        "later_ranks must be a list, got 8",
    ),
    "maps": (lambda: fk.SDLoRA(models.vit(), 9, maps="qv"), "maps must be a list, got 'qv'"),
    "epochs": (lambda: fk.Budget(epochs=2.5), "epochs must be a whole number at least 1, got 2.5"),
    "batch": (lambda: fk.Budget(batch_size=True), "batch_size must be a whole .* got True"),
    "flag": (lambda: fk.DRS(per_layer=1), "per_layer must be True or False, got 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_refused_by_name_rule_and_value(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_of_numpy_are_numbers_and_become_pythons():
    model = models.build("inflora", rank=np.int64(3), threshold=np.float32(0.5), lr=1)
    assert [type(v) for v in (model.rank, model.threshold, model.lr)] == [int, float, float]
    assert model.described["rank"] == 3 and fk.Budget(batch_size=np.int64(32)).batch_size == 32


@pytest.mark.parametrize(
    ("method", "option", "message"),
    [
        (
            fk.FMLoRA,
            "rank",
            r"FMLoRA has no .* 'rank'; did you mean flora=FLoRA\(max_rank=...\)",
        ),
        (
            fk.FMLoRA,
            "fold",
            r"did you mean flora=FLoRA\(fold=...\)\? It has lr, head_lr,",
        ),
        (fk.SequentialLoRA, "max_rank", "SequentialLoRA has no .* did you mean rank=..."),
        (fk.NearestClassMean, "learning", "NearestClassMean has no option 'learning'; It has lr,"),
        (fk.L2P, "head_rl", r"L2P has no option 'head_rl'; did you mean head_lr=...\?"),
    ],
)
def test_an_option_that_there_is_not_is_told_with_the_one_that_is_meant(method, option, message):
    with pytest.raises(TypeError, match=message):
        method(models.vit(), 9, **{option: 8})
