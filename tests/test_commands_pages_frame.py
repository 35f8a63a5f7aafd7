"""The one frame of all pages: none is written without a content policy."""

import re
from pathlib import Path

import pytest

import fmlora_kit
from fmlora_kit.commands.pages import frame


@pytest.mark.parametrize("css", [None, "", "p { color: red }"])
@pytest.mark.parametrize("figures", [None, {}, {"a": {"data": [], "layout": {}}}])
def test_every_page_has_a_content_policy_before_anything_is_loaded(css, figures):
    page = frame.document("T", "<p>", figures, css=css)
    policy = page.index('http-equiv="Content-Security-Policy" content="default-src \'none\'')
    loads = [page.find(tag) for tag in ("<script", "<link", "<style") if tag in page]
    assert policy < min(loads)


def test_no_other_module_writes_a_page():
    package = Path(fmlora_kit.__file__).parent
    writes = re.compile(r"<!DOCTYPE|<html|write_html|include_plotlyjs", re.IGNORECASE)
    pages = [path for path in package.rglob("*.py") if writes.search(path.read_text("utf-8"))]
    assert [path.relative_to(package).as_posix() for path in pages] == ["commands/pages/frame.py"]
