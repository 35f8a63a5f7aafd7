"""Where a lead comes from, and what becomes of it: numbers of the figures are the comparison's."""

import numpy as np
import pytest
from helpers.records import plausible_record

from fmlora_kit.analysis import compare_records, metrics
from fmlora_kit.figures.gains import heads_by_adaptation, lead_by_length
from fmlora_kit.figures.style import FRACTION_SCALE


def runs(method, n_tasks=3, fall=0.0, seeds=(0, 1, 2)):
    return [
        plausible_record(n_tasks, method=method, seed=s, learn=0.72 - fall * (s + 1)) for s in seeds
    ]


def final(records):
    return np.array([metrics(record)["final_accuracy"] for record in records])


def test_the_lead_is_the_paired_difference_at_every_length():
    lengths = {f"{n} tasks": n for n in (3, 4)}
    ours = {n: runs("fmlora", n) for n in lengths.values()}
    theirs = {n: runs("inflora", n, fall=0.05) for n in lengths.values()}
    made = {w: compare_records([*ours[n], *theirs[n]]) for w, n in lengths.items()}
    figure = lead_by_length(made, ["inflora", "l2p"])
    line, nobody = figure.data
    expected = [100 * np.mean(final(ours[n]) - final(theirs[n])) for n in lengths.values()]
    np.testing.assert_allclose(line.y, expected, atol=0.01)
    assert min(line.error_y.array) > 0 and line.name == "InfLoRA"
    assert nobody.name == "L2P" and len(nobody.y) == 0  # no point where it was not run
    assert list(figure.layout.xaxis.ticktext) == list(lengths)


def test_one_seed_has_no_bar_and_no_comparison_is_said():
    made = compare_records([*runs("fmlora", seeds=(0,)), *runs("inflora", fall=0.1, seeds=(0,))])
    (line,) = lead_by_length({"3 tasks": made}, ["inflora"]).data
    assert list(line.error_y.array) == [0] and "1 seed" in line.customdata[0]
    with pytest.raises(ValueError, match="comparisons must hold at least one"):
        lead_by_length({}, ["inflora"])


def test_heads_and_adaptations_cross_and_are_sorted():
    falls = {"nothing; LDA": 0.2, "nothing; ridge": 0.15, "all; LDA": 0.1}
    named = {label: runs("fmlora", fall=fall) for label, fall in falls.items()}
    figure = heads_by_adaptation(compare_records(named))
    (cells,) = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["nothing", "all"]
    means = {label: 100 * final(records).mean() for label, records in named.items()}
    heads = list(figure.layout.xaxis.ticktext)
    for (row, head), value in np.ndenumerate(np.array(cells.z, dtype=float)):
        label = f"{['nothing', 'all'][row]}; {heads[head]}"
        assert np.isnan(value) if label not in means else value == pytest.approx(means[label], 1e-3)
    assert np.isnan(np.array(cells.z, dtype=float)).sum() == 1
    colors = tuple(tuple(stop) for stop in cells.colorscale)
    assert colors == FRACTION_SCALE  # on which numbers are legible, which test_figures_style holds


def test_other_comparisons_are_refused():
    with pytest.raises(ValueError, match="rows 'what adapts; head', got 'fmlora'"):
        heads_by_adaptation(compare_records(runs("fmlora")))
