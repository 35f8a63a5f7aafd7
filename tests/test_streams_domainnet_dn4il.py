"""DN4IL: its own lists, over its own images or a folder of DomainNet."""

import pytest
from helpers import image_trees

from fmlora_kit.streams import dn4il
from fmlora_kit.streams.domainnet import DN4IL, list_names
from fmlora_kit.streams.files import listed_classes, read_list

DOMAINS = ("real", "clipart", "infograph", "painting", "sketch", "quickdraw")


@pytest.fixture
def tree(tmp_path):
    image_trees.draw_domains(tmp_path / "dn4il", DOMAINS, ("owl", "cow"), images=3, train=(0, 1))
    return tmp_path


def test_six_domains_in_the_authors_order(tree):
    stream = dn4il(tree, image_size=8)
    assert stream.name == "dn4il" and stream.scenario == "domain-incremental"
    assert tuple(task.name for task in stream) == DOMAINS
    for d, task in enumerate(stream):
        assert image_trees.numbers(task.train_images) == [100 * d + n for n in (0, 1, 10, 11)]
        assert image_trees.numbers(task.test_images) == [100 * d + n for n in (2, 12)]
        assert task.test_labels.tolist() == [0, 1]
    assert stream.about["partial"] == "2 of 100 classes; 36 of 86,544 images"


def test_the_images_may_be_those_of_a_larger_folder(tree):
    (tree / "domainnet").mkdir()
    for domain in DOMAINS:
        (tree / "dn4il" / domain).rename(tree / "domainnet" / domain)
        image_trees.draw(tree / "domainnet" / domain / "lion" / "0.jpg", 999)
    stream = dn4il(tree / "domainnet", lists=tree / "dn4il", image_size=8, n_train=1)
    assert stream.describe()["train_images"] == [2] * 6
    assert stream.about["partial"].endswith("; at most 1 training images per class")
    with pytest.raises(FileNotFoundError, match="must hold real, .*lists= that of the lists"):
        dn4il(tree / "dn4il")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domains": ()}, r"domains must be different names among .* got \(\)"),
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"n_train": 0}, "n_train must be at least 1"),
    ],
)
def test_bad_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        dn4il(tmp_path, **options)


@image_trees.needs("dn4il")
def test_the_real_lists():
    root = image_trees.FOLDER / "dn4il"
    names = set()
    for domain, official in DN4IL.domains.items():
        train, test = (root / name for name in list_names([domain]))
        assert len(read_list(train)) + len(read_list(test)) == official
        classes = listed_classes(root, (train, test), 100)
        assert len(classes) == 100 and all(each.train and each.test for each in classes.values())
        names.add(tuple(each.name for each in classes.values()))
    assert len(names) == 1 and names.pop()[0] == "aircraft carrier"
    with pytest.raises(
        FileNotFoundError, match="dn4il must hold real, clipart, .* Fetch the lists"
    ):
        dn4il(root)
