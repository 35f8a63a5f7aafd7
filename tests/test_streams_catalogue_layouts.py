"""The table of data sets on the disk covers every stream of real images."""

from fmlora_kit.streams import STREAMS
from fmlora_kit.streams.catalogue import LAYOUTS


def test_every_stream_of_files_has_its_layout():
    assert set(STREAMS) - set(LAYOUTS) == {"glyphs", "glyph_styles", "digits"}
    for layout in LAYOUTS.values():
        assert layout.root in layout.how_to_get and layout.tries


def test_the_official_numbers_of_images():
    assert {name: layout.n_images for name, layout in LAYOUTS.items()} == {
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
        layout = LAYOUTS[name]
        assert len(layout.folders) == 6 and len(layout.files) == 12
        assert {f"{folder}_train.txt" for folder in layout.folders} < set(layout.files)
