"""Records that are drawn together are of one stream."""

from dataclasses import replace

import pytest
from helpers.records import a_run, confused, plausible_record

from fmlora_kit import figures
from fmlora_kit.figures.curves import styles_of
from fmlora_kit.figures.forgetting import forward_transfer
from fmlora_kit.figures.style import method_styles

ONE = plausible_record(3)
OTHER = replace(plausible_record(3, method="l2p"), stream="digits")
DOMAINS = confused(domains=True, stream="glyphs")
TOGETHER = (
    figures.accuracy_curves,
    figures.accuracy_matrix,
    figures.accuracy_parts,
    figures.forgetting_curves,
    figures.forgetting_definitions,
    figures.parameters_stored,
    figures.prompt_movement,
    figures.subspace_map,
    figures.core_energy,
    forward_transfer,
)


@pytest.mark.parametrize("draw", TOGETHER)
@pytest.mark.parametrize("other", [OTHER, DOMAINS])
def test_records_of_different_streams_are_refused(draw, other):
    with pytest.raises(ValueError, match="records must be of one stream, got .*'glyphs'"):
        draw({"one": ONE, "other": other})


def test_seeds_of_one_label_are_of_one_stream_too():
    with pytest.raises(ValueError, match="of one stream"):
        figures.accuracy_curves({"one": [ONE, OTHER]})


def test_a_joined_stream_is_the_one_that_was_joined():
    joined = replace(a_run("joint"), stream="hand made, joined")
    assert figures.parameters_stored({"one": a_run(), "joint": joined}).data


def test_a_label_has_the_style_of_its_method_unless_two_are_of_one():
    ours, theirs = plausible_record(3), plausible_record(3, method="sequential_lora")
    known = method_styles(("fmlora", "sequential_lora"))
    found = styles_of({"run 7": (ours,), "run 8": (theirs,)})
    assert list(found.values()) == list(known.values())
    found = styles_of({"before": (ours,), "after": (ours,)})
    assert found == method_styles(("before", "after"))
