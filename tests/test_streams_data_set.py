"""Every stream of real images has its data set; where it lies; what of it is there, in words."""

import pytest

from fmlora_kit.streams.catalogue import DATA_SETS, STREAMS
from fmlora_kit.streams.data_set import DataSet

BIRDS = DataSet(
    "birds", "Birds", "Fetch it.", "images", root="BIRDS", n_classes=20, split=(5_000, 500)
)


def test_every_stream_of_files_has_its_layout():
    assert set(STREAMS) - set(DATA_SETS) == {
        "glyphs",
        "moving_styles",
        "glyph_styles",
        "digits",
    }
    for data in DATA_SETS.values():
        assert data.root in data.how_to_get and data.tries


def test_the_official_numbers_of_images():
    assert {name: data.n_images for name, data in DATA_SETS.items()} == {
        "cifar100": 60_000,
        "cub200": 11_788,
        "dn4il": 86_544,
        "domainnet": 586_575,
        "imagenet_r": 30_000,
        "pacs": 9_991,
        "image_folder": 0,
    }


def test_domains_come_with_two_lists_each():
    for name in ("domainnet", "dn4il"):
        data = DATA_SETS[name]
        assert len(data.folders) == 6 and len(data.files) == 12
        assert {f"{folder}_train.txt" for folder in data.folders} < set(data.files)


def test_the_folder_itself_or_the_one_it_lies_in(tmp_path):
    (tmp_path / "BIRDS" / "images").mkdir(parents=True)
    for folder in (tmp_path, str(tmp_path), tmp_path / "BIRDS"):
        assert BIRDS.find_root(folder, ("images",)) == tmp_path / "BIRDS"


def test_what_is_missing_is_named_with_what_to_do(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} must hold b, c. Fetch it."):
        BIRDS.find_root(tmp_path, ("a", "b", "c"))
    with pytest.raises(FileNotFoundError, match="must hold BIRDS, there is no .*nowhere. Fetch it"):
        BIRDS.find_root(tmp_path / "nowhere")


@pytest.mark.parametrize("folder", [None, 3, "", b"birds"])
def test_a_folder_is_a_path(folder):
    with pytest.raises(ValueError, match="folder must be a (path|text that is not empty), got"):
        BIRDS.find_root(folder)


def test_what_is_there_of_it_in_words():
    assert BIRDS.n_images == 5_500 and BIRDS.partial(20, 5_500) == []
    assert BIRDS.partial(3, 1_000) == ["3 of 20 classes", "1,000 of 5,500 images"]
    assert BIRDS.partial(20, 1_000, 1_000) == []
    by_domain = DataSet("x", "X", "Fetch it.", "*", domains={"a": 2, "b": 3})
    assert by_domain.n_images == 5


def test_presets_name_their_own_stream():
    for data in DATA_SETS.values():
        assert {each.stream for each in data.presets.values()} <= {data.name}
