"""DomainNet from its lists, in both scenarios; the real lists are checked where they lie."""

import numpy as np
import pytest
from helpers import image_trees

from fmlora_kit.streams import domainnet
from fmlora_kit.streams.domainnet import DOMAINNET, list_names
from fmlora_kit.streams.files import listed_classes, read_list

DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
NAMES = ("owl", "red_jay", "cow", "t-shirt")
TRAIN = (0, 2, 3)
CLASSES = {"scenario": "class-incremental", "n_tasks": 2}


@pytest.fixture
def tree(tmp_path):
    image_trees.draw_domains(tmp_path / "domainnet", DOMAINS, NAMES)
    return tmp_path


def drop(path, part):
    """Remove the lines that name a part."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if part not in line))


def test_a_task_is_a_domain_in_the_split_of_the_lists(tree):
    before = image_trees.files(tree)
    stream = domainnet(tree, image_size=8)
    assert stream.name == "domainnet" and stream.scenario == "domain-incremental"
    assert tuple(task.name for task in stream) == DOMAINS
    for d, task in enumerate(stream):
        assert task.classes == (0, 1, 2, 3)
        assert task.class_names == ("owl", "red jay", "cow", "t-shirt")
        for part, kept in (("train", TRAIN), ("test", (1, 4))):
            numbers = image_trees.numbers(getattr(task, f"{part}_images"))
            assert numbers == [100 * d + 10 * c + i for c in range(4) for i in kept]
            assert getattr(task, f"{part}_labels").tolist() == [n // 10 % 10 for n in numbers]
    assert stream.about["partial"] == "4 of 345 classes; 120 of 586,575 images"
    assert "left_out" not in stream.about and image_trees.files(tree) == before


def test_a_class_that_a_domain_does_not_train_on_is_left_out_of_all(tree):
    root = tree / "domainnet"
    drop(root / "painting_train.txt", "t-shirt")  # as it is in the official lists
    drop(root / "painting_test.txt", "cow")  # a class may lack test images, as syringes do
    stream = domainnet(tree, image_size=8)
    assert {task.class_names for task in stream} == {("owl", "red jay", "cow")}
    assert stream.about["left_out"] == "t-shirt (no training image in painting)"
    assert len(stream[2].test_labels) == 4 and len(stream[0].test_labels) == 6
    whole = domainnet(tree, image_size=8, domains=("real", "sketch"))
    assert whole.n_classes == 4 and [task.name for task in whole] == ["real", "sketch"]


def test_domains_that_share_no_class(tree):
    for domain, names in (("real", ("owl", "cow")), ("sketch", ("red_jay", "t-shirt"))):
        for name in names:
            drop(tree / "domainnet" / f"{domain}_train.txt", name)
    with pytest.raises(ValueError, match="domains must share classes with training images, got"):
        domainnet(tree, image_size=8, domains=("real", "sketch"))


def test_a_task_is_some_classes_in_all_domains(tree):
    stream = domainnet(tree, image_size=8, **CLASSES)
    assert [task.class_names for task in stream] == [("owl", "red jay"), ("cow", "t-shirt")]
    assert stream.scenario == "class-incremental"
    for task in stream:
        numbers = image_trees.numbers(task.train_images)
        assert sorted(numbers) == sorted(
            100 * d + 10 * c + i for d in range(6) for c in task.classes for i in TRAIN
        )
        assert task.train_labels.tolist() == [n // 10 % 10 for n in numbers]
    assert stream.about["domains"] == ", ".join(DOMAINS)
    assert stream.about["partial"] == "4 of 345 classes; 120 of 586,575 images"


def test_the_published_class_order(tree):
    stream = domainnet(tree, image_size=8, class_order=1993, **CLASSES)
    order = [k for k in np.random.RandomState(1993).permutation(345) if k < 4]
    shown = [image_trees.numbers(task.train_images[::18]) for task in stream]  # 18 of each class
    assert [n // 10 % 10 for numbers in shown for n in numbers] == order
    assert stream.about["class_order"] == "permutation of seed 1993"


def test_limits_are_per_class_and_the_seed_draws(tree):
    few = {"image_size": 8, "n_train": 2, "n_test": 1}
    by_domain, by_class = domainnet(tree, **few), domainnet(tree, **few, **CLASSES)
    assert by_domain.describe()["train_images"] == [8] * 6
    assert by_class.describe()["train_images"] == [4, 4]
    assert by_class.describe()["test_images"] == [2, 2]
    assert domainnet(tree, 1, **few).describe()["crc32"] != by_domain.describe()["crc32"]
    whole = [domainnet(tree, seed, image_size=8).describe()["crc32"] for seed in (0, 1)]
    assert whole[0] == whole[1]


def test_lists_that_lie_elsewhere_and_classes_that_are_not_there(tree):
    elsewhere = tree / "lists"
    elsewhere.mkdir()
    for path in (tree / "domainnet").glob("*.txt"):
        path.rename(elsewhere / path.name)
    for path in (tree / "domainnet" / "real" / "cow").iterdir():
        path.unlink()
    stream = domainnet(tree, image_size=8, lists=elsewhere)
    assert stream.about["left_out"] == "cow (no training image in real)"
    assert stream.about["partial"] == "4 of 345 classes; 115 of 586,575 images"


def relabel(root):
    for part in ("train", "test"):
        path = root / f"sketch_{part}.txt"
        swapped = path.read_text().replace(" 0\n", " x\n").replace(" 1\n", " 0\n")
        path.write_text(swapped.replace(" x\n", " 1\n"))


def remove_images(root):
    for path in (root / "quickdraw").rglob("*.jpg"):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (
            lambda root: (root / "real").rename(root / "photos"),
            FileNotFoundError,
            "domainnet must hold real. Fetch",
        ),
        (remove_images, FileNotFoundError, "quickdraw must hold the listed images, got none"),
        (relabel, ValueError, "label classes alike, got label 0 for 'red jay' in sketch, .*'owl'"),
    ],
)
@pytest.mark.parametrize("options", [{}, CLASSES], ids=["domains", "classes"])
def test_damage_is_named(tree, damage, error, message, options):
    damage(tree / "domainnet")
    with pytest.raises(error, match=message):
        domainnet(tree, image_size=8, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "tasks"}, "scenario must be one of .*, got 'tasks'"),
        ({"n_tasks": 5}, "n_tasks must be None if a task is a domain, got 5"),
        ({"class_order": 1}, "class_order must be None if a task is a domain, got 1"),
        ({"domains": ("real", "photo")}, "domains must be different names among .*'photo'"),
        ({"domains": ("real", "real")}, "domains must be different names"),
        ({**CLASSES, "n_tasks": 0}, r"n_tasks must divide the 4 classes .*, got 0"),
        ({**CLASSES, "n_tasks": 3}, r"n_tasks must divide the 4 classes .*, got 3"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"n_test": 0}, "n_test must be at least 1, got 0"),
    ],
)
def test_bad_arguments(tree, options, message):
    with pytest.raises(ValueError, match=message):
        domainnet(tree, **options)


@image_trees.needs("domainnet")
def test_the_real_lists():
    root = image_trees.FOLDER / "domainnet"
    for domain in ("clipart", "infograph", "painting", "sketch"):
        n = sum(len(read_list(root / name)) for name in list_names([domain]))
        assert n == DOMAINNET.domains[domain]
    assert sum(DOMAINNET.domains.values()) == 586_575
    train, test = list_names(["painting"])
    classes = listed_classes(root, (root / train, root / test), 345)
    assert sum(bool(each.train) for each in classes.values()) == 344
    assert classes[327].name == "t-shirt" and not classes[327].train
    with pytest.raises(FileNotFoundError, match="must hold quickdraw_train.txt, real_train.txt. F"):
        domainnet(root)
    with pytest.raises(FileNotFoundError, match="domainnet must hold clipart. Fetch"):
        domainnet(root, domains=("clipart",))
