"""The slides: what stands on which screen, and nothing from outside."""

import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from helpers.workshop import figure_output, tagged, workshop_notebook, write_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from fmlora_kit.__main__ import main
from fmlora_kit.commands.pages import slides


def screens(page):
    return BeautifulSoup(page, "html.parser").find_all("section", class_="screen")


@pytest.fixture
def page(tmp_path, capsys):
    """The slides of two notebooks, by the command."""
    write_notebook(tmp_path / "solved" / "w1.ipynb")
    write_notebook(tmp_path / "solved" / "w2.ipynb")
    words = ["--notebooks", str(tmp_path / "solved"), "--out", str(tmp_path / "out")]
    assert main(["workshop", "slides", *words]) == 0
    path = tmp_path / "out" / "slides.html"
    assert capsys.readouterr().out == f"6 slides: {path}\n"
    return path.read_text(encoding="utf-8")


def test_a_screen_is_a_heading_and_what_follows_it(page):
    found = screens(page)
    assert [screen["id"] for screen in found] == [f"slide-{k}" for k in range(1, 7)]
    assert [screen.find(["h1", "h2"]).get_text() for screen in found] == 2 * [
        "W1 Squares",
        "E1 Square (10 minutes)",
        "E1 Square (10 minutes)",  # again, above the figure
    ]
    assert found[0]["aria-label"] == "1 of 6: W1 Squares" and found[0].find("math")
    assert [len(screen.find_all(attrs={"data-figure": True})) for screen in found] == [
        *(0, 0, 1, 0, 0, 1)
    ]


def test_only_what_is_tagged_is_shown_and_no_solution(page):
    solution = tagged(new_code_cell("kept_from_students = 4"), "slide", "solution")
    hidden = ("kept_from_students", "forget zero", "not written yet")
    assert [words for words in hidden if words in page] == []
    text = BeautifulSoup(page, "html.parser").main.get_text()
    assert "1 + 1" not in text and "Figure()" not in text
    assert not BeautifulSoup(page, "html.parser").find(class_="input")
    ((_, shown),) = slides.screens_of(new_notebook(cells=[heading(), solution]))
    assert shown.source == ""


def heading():
    return tagged(new_markdown_cell("# A"), "slide")


def test_code_is_shown_where_there_is_no_output():
    shown = tagged(new_code_cell("figure", outputs=[figure_output()]), "slide")
    plain = tagged(new_code_cell("C + M @ N"), "slide")
    found = slides.screens_of(new_notebook(cells=[heading(), plain, shown]))
    assert [[cell.source for cell in screen] for screen in found] == [
        ["# A", "C + M @ N"],
        ["# A", ""],
    ]


def test_figures_have_names_of_their_own_and_fit(page):
    names = re.findall(r'data-figure="(.+?)"', page)
    figures = json.loads(BeautifulSoup(page, "html.parser").find(id="figures").string)
    assert len(names) == 2 and set(names) == set(figures)
    assert all(f["layout"]["height"] <= slides.FIGURE_HEIGHT for f in figures.values())


def test_the_page_names_nothing_outside(page):
    markup = BeautifulSoup(page, "html.parser")
    assert "default-src 'none'" in page
    for element in markup.find_all(src=True) + markup.find_all("link", href=True):
        assert element.get("src", element.get("href")).startswith("data:")


def test_what_has_no_slides_or_no_heading_is_refused(tmp_path):
    none = write_notebook(tmp_path / "a.ipynb", new_notebook(cells=[new_markdown_cell("# A")]))
    with pytest.raises(ValueError, match="notebooks must have a cell tagged slide, got none"):
        slides.slides([none], "t")
    cells = [tagged(new_markdown_cell("no heading"), "slide")]
    bad = write_notebook(tmp_path / "b.ipynb", new_notebook(cells=cells))
    with pytest.raises(ValueError, match="b.ipynb: slides must begin with a heading, got 'no"):
        slides.slides([bad], "t")


def test_the_notebook_is_left_as_it_is():
    notebook = workshop_notebook()
    before = str(notebook)
    slides.screens_of(notebook)
    assert str(notebook) == before


def test_links_lead_outside_or_are_text(tmp_path):
    cell = tagged(new_markdown_cell("# A\n\n[W2](w2.ipynb), [paper](https://arxiv.org/)"), "slide")
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "w1.ipynb")
    page = BeautifulSoup(slides.slides([tmp_path / "w1.ipynb"], "A"), "html.parser").main
    hrefs = [a["href"] for a in page.find_all("a") if not a["href"].startswith("#")]
    assert hrefs == ["https://arxiv.org/"] and "W2, paper" in page.get_text()
