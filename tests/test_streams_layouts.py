"""The table of data sets on the disk covers every stream of real images."""

from fmlora_kit.streams import STREAMS
from fmlora_kit.streams.layouts import LAYOUTS


def test_every_stream_of_files_has_its_layout():
    assert set(STREAMS) - set(LAYOUTS) == {"glyphs", "glyph_styles", "digits"}
    for layout in LAYOUTS.values():
        assert layout.root in layout.how_to_get and layout.tries


def test_domains_come_with_two_lists_each():
    for name in ("domainnet", "dn4il"):
        layout = LAYOUTS[name]
        assert len(layout.folders) == 6 and len(layout.files) == 12
        assert {f"{folder}_train.txt" for folder in layout.folders} < set(layout.files)
