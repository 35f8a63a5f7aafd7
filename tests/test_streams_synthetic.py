"""Made-up trees: every preset's stream reads its own, in the protocol's tasks, marked partial."""

import numpy as np
import pytest

from fmlora_kit.commands.data import check
from fmlora_kit.streams.catalogue import PRESETS, preset
from fmlora_kit.streams.synthetic import PARTS, picture, write_benchmark

POSSIBLE = [name for name, each in PRESETS.items() if each.stream != "cifar100"]


@pytest.mark.parametrize("name", POSSIBLE)
def test_the_presets_stream_reads_it(name, tmp_path):
    stream = preset(name, write_benchmark(name, tmp_path / "tree"), image_size=8)
    options = PRESETS[name].options
    by_class = stream.scenario == "class-incremental"
    assert len(stream) == options.get("n_tasks", {"pacs": 4}.get(stream.name, 6))
    assert all(len(task.classes) == 2 for task in stream) or not by_class
    domains = 6 if name == "domainnet-sdlora-5" else 1
    images = sum(len(task.train_labels) + len(task.test_labels) for task in stream)
    assert images == len(PARTS) * domains * sum(len(task.classes) for task in stream)
    assert "images" in stream.about["partial"] and stream.about["preset"] == name


def test_the_official_split_is_that_of_the_lists(tmp_path):
    stream = preset("cub200-10", write_benchmark("cub200-10", tmp_path), image_size=8)
    for task in stream:
        assert np.bincount(task.train_labels)[list(task.classes)].tolist() == [6, 6]
        assert np.bincount(task.test_labels)[list(task.classes)].tolist() == [3, 3]


def test_the_check_of_real_data_takes_it_for_a_part(tmp_path, capsys):
    assert check("imagenet-r-5", write_benchmark("imagenet-r-5", tmp_path))
    assert "partial: 10 of 200 classes; 90 of 30,000 images" in capsys.readouterr().out


def test_pictures_of_a_class_are_alike_and_differ_from_others():
    one = np.stack([np.asarray(picture(3, i), float).mean((0, 1)) for i in range(6)])
    other = np.stack([np.asarray(picture(4, i), float).mean((0, 1)) for i in range(6)])
    one, other = (x / x.sum(axis=1, keepdims=True) for x in (one, other))  # hue, without light
    spread = max(np.ptp(one, axis=0).max(), np.ptp(other, axis=0).max())
    assert np.abs(one.mean(0) - other.mean(0)).max() > spread
    assert not np.array_equal(picture(3, 0), picture(3, 1))
    assert not np.array_equal(picture(3, 0), picture(3, 0, domain=1))
    assert np.array_equal(picture(3, 0), picture(3, 0))


def test_a_preset_that_cannot_be_made_up_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"\(the files of CIFAR-100 are .*, got .cifar100-pycil-10"
    ):
        write_benchmark("cifar100-pycil-10", tmp_path)
    with pytest.raises(ValueError, match=r"preset must be one of imagenet-r-5, .*, got 'cub'$"):
        write_benchmark("cub", tmp_path)


def test_a_folder_of_another_preset_is_refused(tmp_path):
    write_benchmark("imagenet-r-10", tmp_path)
    with pytest.raises(ValueError, match="folder must be new, empty or made by this function"):
        write_benchmark("cub200-10", tmp_path)
