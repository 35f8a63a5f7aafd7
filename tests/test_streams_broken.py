"""Every way a tree can be broken, for every stream of files: one clear error, nothing changed.

Each case is checked three times: by the stream, by ``fmlora_kit.commands.data``, which must say
the same, and by what is on the disk afterwards.
"""

import pickle
from functools import partial
from itertools import product
from typing import NamedTuple

import pytest
from helpers import image_trees
from helpers.image_trees import OF_IMAGES, READERS, read
from PIL import Image

from fmlora_kit.commands import data
from fmlora_kit.streams.catalogue import DATA_SETS

BIRD, ART, COW = image_trees.BIRD, image_trees.ART, image_trees.COW


class Case(NamedTuple):
    """One broken tree: whose, what is wrong, how it comes about, and what is said."""

    reader: str
    what: str
    damage: object
    message: str
    error: type = ValueError
    status: int = 1  # 0 where another split of ImageNet-R can still be read


@pytest.fixture
def tree_of(tmp_path):
    return partial(image_trees.tree, tmp_path)


def refused(name, root, error, message, capsys, status=1):
    """The stream refuses the tree in one error, the program in the same words, both only read."""
    before = image_trees.files(root)
    with pytest.raises(error, match=message) as caught:
        read(name, root)
    assert caught.value.__cause__ is None  # nothing of Pillow's or torchvision's is shown
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    stream = READERS[name].stream
    assert data.main(["check", stream, "--folder", str(root), "--every-image"]) == status
    said, how = capsys.readouterr().out, DATA_SETS[stream].how_to_get
    assert str(caught.value).removesuffix(how).strip() in said
    assert image_trees.files(root) == before


def folder_instead(path):
    path.unlink()
    path.mkdir()


def nowhere(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere.jpg")


def deep(path):
    with Image.open(path) as picture:
        grey = picture.convert("L").convert("I;16")
    grey.save(path, format="PNG")


WHOLE = "must be a whole image file, cannot be read: "
IMAGES = {
    "truncated": (image_trees.truncate, ValueError, WHOLE),
    "empty": (lambda path: path.write_bytes(b""), ValueError, WHOLE),
    "a text": (lambda path: path.write_text("not an image"), ValueError, WHOLE),
    "a folder": (folder_instead, ValueError, WHOLE),
    "a link to nowhere": (nowhere, FileNotFoundError, "must be an image file, got none there, or"),
    "16 bits": (deep, ValueError, WHOLE + "more than 8 bits per channel, mode I"),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [pair for pair in product(OF_IMAGES, IMAGES) if pair != ("class", "a folder")],  # a domain?
)
def test_a_broken_image_is_named(name, kind, tree_of, capsys):
    damage, error, message = IMAGES[kind]
    root = tree_of(name)
    damage(root / READERS[name].image)
    refused(name, root, error, f"{READERS[name].image} {message}", capsys)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_links_are_followed_out_of_the_folder(name, tree_of, tmp_path):
    """Users link data sets together: an image that is linked, and a folder of images."""
    root = tree_of(name)
    whole = read(name, root).describe()
    image = root / READERS[name].image
    for path in (image, image.parent):
        path.rename(tmp_path / f"real {path.name}")
        path.symlink_to(tmp_path / f"real {path.name}")
    assert read(name, root).describe() == whole


def rewritten(path, old, new):
    return lambda root: image_trees.rewrite(root / path, old, new)


def emptied(folder):
    def damage(root):
        for path in (root / folder).iterdir():
            path.unlink()

    return damage


def changed(path, **values):
    def damage(root):
        content = pickle.loads((root / path).read_bytes())
        image_trees.write_pickle(root / path, {**content, **values})

    return damage


def removed(*paths):
    def damage(root):
        for path in paths:
            (root / path).unlink()

    return damage


CUB = [f"{name}.txt" for name in ("classes", "images", "image_class_labels", "train_test_split")]
TRAINED, TESTED = YAML = ("imagenet-r_train.yaml", "imagenet-r_test.yaml")
DOMAINS = {"domainnet": 345, "domainnet by class": 345, "dn4il": 100}
LABELS = tuple(range(100))

MISSING = [
    Case(name, path, removed(path), f"must hold {path}. Fetch", FileNotFoundError, status)
    for name, status, paths in (
        ("cifar100", 1, ("train", "test", "meta")),
        ("cub200", 1, CUB),
        ("fixed", 0, YAML),
        *((name, 1, ("real_test.txt", "sketch_train.txt")) for name in DOMAINS),
    )
    for path in paths
]
SOME_MISSING = [
    Case(name, path, removed(path), message, FileNotFoundError, status)
    for name, status, path, message in (
        ("cub200", 1, BIRD, "003.Owl must hold all 5 listed images or none, 1 are missing, first"),
        ("fixed", 0, ART, "n02007558 must hold all 5 listed images or none, 1 are missing, first"),
        *((name, 1, COW, "real/cow must hold all 3 listed images or none") for name in DOMAINS),
    )
]
RANGES = [
    *(
        Case(
            "cifar100",
            f"label {k}",
            changed("test", fine_labels=[*LABELS[1:], k] * 2),
            f"test must have fine labels of all classes, 0 to 99, got 100 labels from {around}",
        )
        for k, around in ((100, "1 to 100"), (-1, "-1 to 99"))
    ),
    *(
        Case(
            "cub200",
            f"label {k}",
            rewritten(CUB[2], "\n7 5\n", f"\n7 {k}\n"),
            rf"{CUB[2]} must give classes of classes.txt \(1 to 6\), got '{k}' for image 7",
        )
        for k in (207, 0, -1)
    ),
    *(
        Case(
            "fixed",
            f"label {k}",
            rewritten(TRAINED, "- 3\n- 3\n- 3\n", f"- 3\n- 3\n- {k}\n"),
            f"{TRAINED} must give labels from 0 to 199, got {k} for data/imagenet-r/n02007558/art",
            status=0,
        )
        for k in (200, -1)
    ),
    *(
        Case(
            name,
            f"label {k}",
            rewritten("real_test.txt", "cow/1.jpg 1", f"cow/1.jpg {k}"),
            f"real_test.txt must give labels from 0 to {n - 1}, got {k} for real/cow/1.jpg",
        )
        for name, n in DOMAINS.items()
        for k in (n, -1)
    ),
]
LEAVING = [
    Case(
        name,
        out,
        rewritten(where, path, begins + out),
        f"{where} must list paths inside .*, got '{out}'",
        status=int(name != "fixed"),
    )
    for name, where, path, begins in (
        ("cub200", CUB[1], "005.Jay/bird_3.jpg", ""),
        ("fixed", TESTED, "data/imagenet-r/n01484850/art_4.jpg", "data/imagenet-r/"),
        *((name, "real_test.txt", COW, "") for name in DOMAINS),
    )
    for out in ("../../etc/x.jpg", "real/../../x.jpg", "/etc/x.jpg", "C:/x.jpg")
]
ONCE = "must have lines 'NUMBER VALUE', each number once, got"
OF_FOLDER = f"{CUB[2]} must give every image the class of its folder, got"
LINES = [
    *(
        Case(
            "cub200",
            f"{path}, twice",
            rewritten(path, f"\n{line}\n", f"\n{line}\n{line}\n"),
            f"{path} {ONCE} '{line}'",
        )
        for path, line in zip(CUB, ("3 003.Owl", "7 005.Jay/bird_3.jpg", "7 5", "7 1"), strict=True)
    ),
    Case(
        "cub200",
        "an image twice",
        rewritten(CUB[1], "\n7 005.Jay/bird_3.jpg", "\n7 005.Jay/bird_4.jpg"),
        f"{CUB[1]} must list each image once, got '005.Jay/bird_4.jpg' twice",
    ),
    Case(
        "cub200",
        "labels exchanged",
        rewritten(CUB[2], "\n5 6\n6 5\n", "\n5 5\n6 6\n"),
        rf"{OF_FOLDER} '5' \(005.Jay\) for image 5, 006.Crow/bird_0.jpg",
    ),
    Case(
        "cub200",
        "names exchanged",
        rewritten(CUB[0], "2 002.Red_Tern\n3 003.Owl\n", "2 003.Owl\n3 002.Red_Tern\n"),
        rf"{OF_FOLDER} '3' \(002.Red_Tern\) for image \d+, 003.Owl/bird",
    ),
    Case(
        "fixed",
        "an image twice",
        rewritten(TRAINED, "n02007558/art_2", "n02007558/art_0"),
        f"{TRAINED} and {TESTED} must list each image once, got data/.*/n02007558/art_0.jpg twice",
        status=0,
    ),
    Case(
        "fixed",
        "an image in both lists",
        rewritten(TESTED, "n02007558/art_1", "n02007558/art_0"),
        f"{TRAINED} and {TESTED} must list each image once, got data/.*/n02007558/art_0.jpg twice",
        status=0,
    ),
    Case(
        "fixed",
        "a line twice",
        rewritten(TRAINED, "targets:\n- 2\n", "targets:\n- 2\n- 2\n"),
        f"{TRAINED} must have one target per image, got 12 images and 13 targets",
        status=0,
    ),
    Case(
        "fixed",
        "labels exchanged",
        rewritten(TRAINED, "- 2\n- 2\n- 2\n- 0\n", "- 2\n- 2\n- 0\n- 2\n"),
        f"{TRAINED} must give one label to all of n01443537, got 0 for .*/art_3.jpg, and 2 before",
        status=0,
    ),
    *(
        Case(name, what, rewritten(path, old, new), message)
        for name in DOMAINS
        for what, path, old, new, message in (
            (
                "a line twice",
                "real_train.txt",
                "owl/2.jpg 0\n",
                "owl/2.jpg 0\nreal/owl/2.jpg 0\n",
                "real_train.txt and real_test.txt must list each image once, got real/owl/2.jpg tw",
            ),
            (
                "an image in both lists",
                "real_test.txt",
                "cow/1",
                "cow/2",
                "real_train.txt and real_test.txt must list each image once, got real/cow/2.jpg tw",
            ),
            (
                "labels exchanged",
                "real_test.txt",
                "owl/1.jpg 0\nreal/cow/1.jpg 1\n",
                "owl/1.jpg 1\nreal/cow/1.jpg 0\n",
                "real_test.txt must give one label to all of real/owl, got 1 for .*, and 0 before",
            ),
        )
    ),
]
EMPTY = [
    Case(name, f"{folder}, empty", emptied(folder), f"{folder} must {rule}, got", status=status)
    for name, folder, rule, status in (
        ("pacs", "photo/dog", "have at least 2 images .train and test.", 1),
        ("random", "n02007558", "hold images .*", 0),
        ("folders", "test/n02007558", "hold images .*", 1),
        ("class", "dog", "hold images .*", 1),
        ("train and test", "test/n02007558", "hold images .*", 1),
        ("domain", "night/dog", "hold images .*", 1),
    )
]
SINGLE = [
    Case(name, f"{folder}, 1 image", removed(*files), f"{folder} must have at least 2 .*, got 1")
    for name, folder, files in (
        ("pacs", "cartoon/horse", ["cartoon/horse/1.jpg"]),
        ("class", "dog", ["dog/0.png", "dog/2.png"]),
        ("domain", "night/dog", ["night/dog/0.png", "night/dog/2.png"]),
    )
]
PICKLES = [
    *(
        Case(
            "cifar100",
            f"{path}, truncated",
            lambda root, path=path: image_trees.truncate(root / path),
            f"{path} must be a whole pickle file, cannot be read: ",
        )
        for path in ("train", "test", "meta")
    ),
    Case(
        "cifar100",
        "no arrays",
        changed("train", data=[1, 2]),
        "train must be CIFAR-100, cannot be read: ",
    ),
    Case(
        "cifar100",
        "a label missing",
        changed("train", fine_labels=[0] * 299),
        r"train must hold uint8 images .* 300 images and labels of shape \(299,\)",
    ),
    Case(
        "cifar100",
        "a name twice",
        changed("meta", fine_label_names=["owl", *image_trees.CIFAR_NAMES[2:], "owl"]),
        "meta must name 100 different classes, got 100 names, 99 of them different",
    ),
]
CASES = [*MISSING, *SOME_MISSING, *RANGES, *LEAVING, *LINES, *EMPTY, *SINGLE, *PICKLES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reader}: {case.what}")
def test_a_broken_tree_is_named(case, tree_of, capsys):
    root = tree_of(case.reader)
    case.damage(root)
    refused(case.reader, root, case.error, case.message, capsys, case.status)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_what_systems_leave_beside_images_is_nothing(name, tree_of):
    root = tree_of(name)
    whole = read(name, root).describe()
    for left in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.jpg", ".thumbnails/1.jpg"):
        path = (root / READERS[name].image).parent / left
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    assert read(name, root).describe() == whole


def test_every_stream_of_files_is_here():
    assert {reader.stream for reader in READERS.values()} == set(DATA_SETS)
