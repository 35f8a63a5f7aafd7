"""Published protocols by name: the orders they are known for, and no silent change of them."""

import inspect

import numpy as np
import pytest
from helpers import image_trees

from fmlora_kit.streams import PRESETS, STREAMS, catalogue, preset


@pytest.mark.parametrize("name", PRESETS)
def test_each_gives_options_that_its_stream_has_and_says_whose_it_is(name):
    chosen = PRESETS[name]
    assert STREAMS[chosen.stream] is catalogue.READERS[chosen.stream]
    assert set(chosen.options) <= set(inspect.signature(STREAMS[chosen.stream]).parameters)
    assert len(chosen.whose) > 20 and not chosen.whose.endswith(".")


def test_the_numbers_that_the_protocols_are_known_for():
    published = {name: dict(chosen.options) for name, chosen in PRESETS.items()}
    assert published["cifar100-pycil-10"] == {"n_tasks": 10, "class_order": 1993}
    assert published["domainnet-sdlora-5"]["n_tasks"] * 69 == 345
    assert [published[f"imagenet-r-{n}"] for n in (5, 10, 20)] == [
        {"n_tasks": n, "split": "fixed"} for n in (5, 10, 20)
    ]
    assert published["imagenet-r-sdlora-20"]["class_order"] == 1995
    assert published["cub200-10"] == {"n_tasks": 10}


def test_a_preset_is_its_stream_and_names_itself(tmp_path):
    image_trees.draw_domains(tmp_path, catalogue.domainnet.__kwdefaults__["domains"], "abcde")
    stream = preset("domainnet-sdlora-5", tmp_path, image_size=8, n_train=1)
    order = [k for k in np.random.RandomState(1993).permutation(345) if k < 5]
    assert [task.class_names for task in stream] == [("abcde"[k],) for k in order]
    assert stream.describe()["preset"] == "domainnet-sdlora-5"
    same = STREAMS["domainnet"](
        tmp_path, scenario="class-incremental", class_order=1993, image_size=8, n_train=1
    )
    assert same.describe() == {k: v for k, v in stream.describe().items() if k != "preset"}


def test_what_a_preset_refuses(tmp_path):
    with pytest.raises(ValueError, match="preset must be one of cifar100-pycil-10, .*got 'cifar'"):
        preset("cifar", tmp_path)
    message = "n_tasks must not be given with preset 'imagenet-r-10', which fixes it to 10"
    with pytest.raises(ValueError, match=message):
        preset("imagenet-r-10", tmp_path, n_tasks=20)
    with pytest.raises(FileNotFoundError, match="imagenet-r_train.yaml.* Fetch imagenet-r.tar"):
        preset("imagenet-r-10", tmp_path)


@image_trees.needs("cifar-100-python")
def test_the_order_of_icarl_on_real_images():
    stream = preset("cifar100-pycil-10", image_trees.FOLDER, n_train=1, n_test=1)
    # the first ten class numbers that iCaRL and PyCIL publish: 68, 56, 78, 8, 23, 84, 90, ...
    assert stream[0].class_names[:4] == ("road", "palm tree", "snake", "bicycle")
