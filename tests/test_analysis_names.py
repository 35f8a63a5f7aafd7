"""Names for people."""

from helpers.records import make_record

from fmlora_kit.analysis.names import NAMES, display_name, run_name
from fmlora_kit.methods import METHODS


def test_every_method_of_the_package_has_a_name():
    assert set(NAMES) == set(METHODS)
    assert len(set(NAMES.values())) == len(NAMES)


def test_a_method_of_ones_own_is_called_by_its_words():
    assert display_name("fmlora") == "FM-LoRA"
    assert display_name("layernorm_tuning") == "layernorm tuning"
    assert run_name(make_record(method="sequential_lora")) == "sequential LoRA on hand made"
