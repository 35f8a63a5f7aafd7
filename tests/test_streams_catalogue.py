"""Published protocols by name: the orders they are known for, and no silent change of them."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import image_trees

from fmlora_kit.streams.catalogue import (
    DATA_SETS,
    N_IMAGES,
    PRESETS,
    STREAMS,
    decoded_gigabytes,
    expected_hours,
    paper_work,
    preset,
    protocols,
)
from fmlora_kit.streams.files import read_list
from fmlora_kit.training import lessons


@pytest.mark.parametrize("name", PRESETS)
def test_each_gives_options_that_its_stream_has_and_says_whose_it_is(name):
    chosen = PRESETS[name]
    assert name in DATA_SETS[chosen.stream].presets
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
    image_trees.draw_domains(tmp_path, tuple(DATA_SETS["domainnet"].domains), "abcde")
    stream = preset("domainnet-sdlora-5", tmp_path, image_size=8, n_train=1)
    order = [k for k in np.random.RandomState(1993).permutation(345) if k < 5]
    assert [task.class_names for task in stream] == [("abcde"[k],) for k in order]
    assert stream.describe()["preset"] == "domainnet-sdlora-5"
    same = STREAMS["domainnet"](
        tmp_path, scenario="class-incremental", class_order=1993, image_size=8, n_train=1
    )
    assert same.describe() == {k: v for k, v in stream.describe().items() if k != "preset"}


def test_what_a_preset_refuses(tmp_path):
    with pytest.raises(
        ValueError, match=r"preset must be one of \(.cifar100-pycil-10., .*got .cifar"
    ):
        preset("cifar", tmp_path)
    message = "n_tasks must be left out with preset 'imagenet-r-10', which fixes it to 10, got 20"
    with pytest.raises(ValueError, match=message):
        preset("imagenet-r-10", tmp_path, n_tasks=20)
    with pytest.raises(FileNotFoundError, match="imagenet-r_train.yaml.* Fetch imagenet-r.tar"):
        preset("imagenet-r-10", tmp_path)


@image_trees.needs("cifar-100-python")
def test_the_order_of_icarl_on_real_images():
    stream = preset("cifar100-pycil-10", image_trees.FOLDER, n_train=1, n_test=1)
    # the first ten class numbers that iCaRL and PyCIL publish: 68, 56, 78, 8, 23, 84, 90, ...
    assert stream[0].class_names[:4] == ("road", "palm tree", "snake", "bicycle")


# --- hours and gigabytes, recomputed by hand; the numbers of images, from the official lists -----
def test_hours_by_hand():
    # 50,000 images in batches of 128 are 391 steps; 20 epochs of them at 0.36 s are 2815.2 s.
    assert expected_hours(0.36, 50_000, 20, 128) == pytest.approx(2815.2 / 3600)
    assert expected_hours(3600.0, 1, 1, 128) == 1.0


def test_the_work_at_paper_scale_by_hand():
    found = paper_work()["cifar100"]  # 391 steps an epoch; 60,000 images of 224 x 224 x 3 bytes
    assert found["steps of 128"] == 20 * 391 and found["GB at 224 px"] == 9.0
    assert paper_work(batch_size=50_000)["cifar100"]["steps of 50000"] == 20
    step = {"seconds": 0.36, "batch_size": 128}
    assert lessons.hours_of(step)["cifar100"] == f"{2815.2 / 3600:.1f}"
    assert set(lessons.hours_of(None).values()) == {"not measured here"}
    assert lessons.hours_of(None).keys() == paper_work().keys()


def test_every_preset_is_among_the_protocols():
    assert protocols().keys() == PRESETS.keys()
    assert protocols()["imagenet-r-5"]["tasks"] == 5


def test_gigabytes_by_hand():
    assert decoded_gigabytes(1000, 100) == 0.03
    assert round(decoded_gigabytes(sum(N_IMAGES["domainnet"]), 224)) == 88  # as its stream says


@pytest.mark.parametrize("k", range(4))
def test_hours_need_numbers_above_zero(k):
    name = ("seconds_per_step", "n_images", "epochs", "batch_size")[k]
    values = [1.0, 1, 1, 1]
    values[k] = 0
    with pytest.raises(ValueError, match=f"{name} must be .*(above 0|at least 1), got 0"):
        expected_hours(*values)


def test_gigabytes_need_images():
    with pytest.raises(ValueError, match="image_size must be at least 1, got 0"):
        decoded_gigabytes(1, 0)


def test_training_and_test_images_add_up_to_those_of_the_domains():
    for name in ("domainnet", "dn4il"):
        assert sum(N_IMAGES[name]) == sum(DATA_SETS[name].domains.values())
    assert set(N_IMAGES) == {"cifar100", "imagenet_r", "cub200", "domainnet", "dn4il"}


@image_trees.needs("imagenet-r")
def test_images_of_the_fixed_lists():
    lists = [
        image_trees.FOLDER / f"imagenet-r/imagenet-r_{part}.yaml" for part in ("train", "test")
    ]
    assert tuple(len(read_list(path)) for path in lists) == N_IMAGES["imagenet_r"]


@image_trees.needs("CUB_200_2011")
def test_images_of_the_official_split():
    lines = (image_trees.FOLDER / "CUB_200_2011/train_test_split.txt").read_text().split("\n")
    assert sum(line.endswith(" 1") for line in lines) == N_IMAGES["cub200"][0]


@image_trees.needs("domainnet")
@pytest.mark.parametrize("name", ["domainnet", "dn4il"])
def test_test_images_of_the_lists_of_domains(name):
    lists = (image_trees.FOLDER / name).glob("*_test.txt")
    assert sum(len(path.read_text().splitlines()) for path in lists) == N_IMAGES[name][1]


# --- data/README.md ------------------------------------------------------------------------------
DATA = Path(__file__).parents[1] / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")


def in_readme(data):
    folder = f"`{data.root}/`: {data.tree}" if data.root else data.tree
    sizes = [f"{n:,}" if n else "any" for n in (data.n_classes, data.n_images)]
    return f"| `{data.name}` | {data.title} | {sizes[0]} | {sizes[1]} | {folder} |"


def test_the_readme_of_the_data_lists_them_all_as_they_are():
    rows = README.partition("<!-- data sets")[2].partition("<!-- /data sets")[0].splitlines()
    assert rows[3:] == [in_readme(data) for data in DATA_SETS.values()]


def test_the_readme_of_the_data_says_what_the_cards_say():
    words = " ".join(README.split())
    cards = {k: json.loads((DATA / f"{k}.json").read_text()) for k in ("glyph_vit", "photo_vit")}
    for card in cards.values():
        shape = card["architecture"]
        assert f"({shape['img_size']} x {shape['img_size']} pixels, patches of " in words
        assert f"patches of {shape['patch_size']}, width {shape['embed_dim']}, depth " in words
        assert f"depth {shape['depth']}, {card['parameters'] / 1e6:.1f} million" in words
        assert f"{card['steps']:,} steps of {card['batch_size']} took" in words
    assert f"{100 * cards['photo_vit']['top_1']:.1f} % of the 10,000 validation images" in words
    assert f"reach {100 * cards['glyph_vit']['held_out_accuracy']:.1f} % on held-out" in words
    assert f"{cards['glyph_vit']['seconds'] / 60:.0f} minutes on 2 cores" in words
    hours, minutes = divmod(round(cards["photo_vit"]["seconds"] / 60), 60)
    assert f"{hours} h {minutes} min on 2 cores" in words


def test_the_readme_of_the_data_names_every_file_there():
    names = {path.name for path in DATA.iterdir() if path.suffix in (".json", ".safetensors")}
    assert all(f"`{name}`" in README for name in names)
