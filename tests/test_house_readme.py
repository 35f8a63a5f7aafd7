"""The code in the README is code that runs."""

import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

import fmlora_kit as fk
from fmlora_kit.commands.compare import documented
from fmlora_kit.methods import METHODS
from fmlora_kit.methods.base import Method, numpy

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_cell_this_is_all_about_runs_on_a_shorter_stream(capsys):
    code = BLOCKS[0].replace("n_tasks=10", "n_tasks=2, n_train=4, n_test=3")
    *statements, last = code.strip().splitlines()
    names = {}
    exec("\n".join(statements), names)
    assert isinstance(eval(last, names), go.Figure)
    assert capsys.readouterr().out.startswith("task 1/2 Latin  rank ")
    assert names["record"].tasks[1].n_deployed == names["record"].tasks[0].n_deployed


def test_the_method_of_your_own_trains_records_and_comes_back():
    names = {"Method": Method, "numpy": numpy, "torch": torch}
    exec(BLOCKS[1], names)
    stream = fk.streams.glyphs(n_tasks=2, n_train=4, n_test=3)
    make = lambda: names["LayerNormTuning"](fk.load_backbone(), stream.n_classes)  # noqa: E731
    model, again = make(), make()
    before = [p.detach().clone() for p in model.parts()]
    record = fk.run(model, stream, fk.Budget(epochs=1))
    assert not torch.equal(before[0], model.parts()[0])
    for result in record.tasks:
        again.restore(result.classes, result.state)
    images = stream[1].test_images
    assert np.array_equal(model.logits(images), again.logits(images))


@pytest.mark.parametrize("mark", ["overview", "compare"])
def test_the_tables_are_the_shipped_records_rendered(mark):
    text = README.partition(f"<!-- {mark} -->\n")[2].partition(f"\n<!-- /{mark} -->")[0]
    assert text and text == documented()[mark]


def test_the_table_of_methods_has_them_all():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", README, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} >= set(METHODS)
