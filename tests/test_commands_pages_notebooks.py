"""The offline pages hold all that the notebooks show, and point to nothing that is not there."""

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from helpers.pages import mute
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fmlora_kit.__main__ import main
from fmlora_kit.commands.pages import notebooks

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST = (
    "# 01 · A *title* with $r_t$: what?\n\n**Question.** Is $a < b$,\nor not?\n\n**You will** see"
)


def figure_output(title="a figure", **layout):
    figure = {
        "data": [{"type": "bar", "y": [1, 2], "name": "</script><b>"}],
        "layout": {"title": {"text": title}, **layout},
        "frames": [{"name": "later"}],
        "config": {"plotlyServerURL": "https://plot.ly"},
    }
    return new_output("display_data", {notebooks.PLOTLY: figure, "text/plain": "Words & numbers."})


def write(path, *cells, first=FIRST):
    nbformat.write(new_notebook(cells=[new_markdown_cell(first), *cells]), path)
    return path


def built(folder, *paths):
    """Build the site and return {file name: parsed page}."""
    notebooks.build(paths, folder)
    return parsed(folder)


def figures_in(page):
    return json.loads(page.find(id="figures").string)


def text(element):
    return re.sub(r"\s+", " ", element.get_text()).strip()


def parsed(folder):
    """The pages of a folder: {file name: parsed page}."""
    return {
        p.name: BeautifulSoup(p.read_text(), "html.parser") for p in sorted(folder.glob("*.html"))
    }


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The site of the notebooks that are stored, built by the program, and what it printed."""
    folder = tmp_path_factory.mktemp("site")
    with redirect_stdout(io.StringIO()) as said:
        assert main(["site", "--notebooks", str(ROOT / "notebooks"), "--out", str(folder)]) == 0
    return folder, said.getvalue()


@pytest.fixture(scope="module")
def real(program):
    """The pages of the notebooks that are stored."""
    folder, _ = program
    return folder, parsed(folder)


def test_a_figure_keeps_its_data_layout_and_frames_but_no_address(tmp_path):
    cell = new_code_cell("show()", outputs=[figure_output("A & B", height=321)])
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    (place,) = page.find_all(attrs={"data-figure": True})
    figures = figures_in(page)
    assert list(figures) == [place["data-figure"]] == ["figure-1"]
    assert figures["figure-1"]["data"][0] == {
        "type": "bar",
        "y": [1, 2],
        "name": "</script><b>",
    }
    assert figures["figure-1"]["frames"] == [{"name": "later"}]
    assert set(figures["figure-1"]) == {"data", "layout", "frames"}
    assert place["aria-label"] == "Words & numbers." and place["style"] == "height: 321px"
    assert "plot.ly" not in str(page) and "Words" not in page.get_text()


def test_a_widget_becomes_a_note(tmp_path):
    view = {notebooks.WIDGET: {"model_id": "abc"}, "text/plain": "VBox(children=(IntSlider(),))"}
    cell = new_code_cell("panel", outputs=[new_output("execute_result", view)])
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    assert text(page.find(class_="widget-note")) == "A dashboard: run the notebook to use it."
    assert "VBox" not in str(page) and "abc" not in str(page)


def test_a_dashboard_is_shown_as_it_opens(tmp_path):
    view = {notebooks.WIDGET: {"model_id": "abc"}, "text/plain": 'Stepper, "all" < 3'}
    view[notebooks.PICTURE] = "/9j/\n4AA="
    cell = new_code_cell("panel", outputs=[new_output("execute_result", view)])
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    image = page.find("img")
    assert image["src"] == "data:image/jpeg;base64,/9j/4AA=" and image["alt"] == view["text/plain"]
    assert "as it opens" in text(page.find(class_="widget-note")) and "abc" not in str(page)


def test_a_progress_bar_leaves_nothing(tmp_path):
    view = {notebooks.WIDGET: {"model_id": "abc"}, "text/plain": "Greek:   0%|          | 0/40"}
    cell = new_code_cell("run()", outputs=[new_output("display_data", view)])
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    assert not page.find(class_="widget-note") and "Greek" not in str(page)


def test_code_text_and_pictures_are_shown_without_prompts(tmp_path):
    outputs = [
        new_output("stream", text="5 < 6 tasks\n"),
        new_output("execute_result", {"text/plain": "{'a': 1}"}, execution_count=7),
        new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Image>"}),
    ]
    cell = new_code_cell("for task in stream:\n    print(task)", outputs=outputs)
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    assert [text(out) for out in page.find_all(class_="output_text")] == ["5 < 6 tasks", "{'a': 1}"]
    assert page.find("img")["src"].startswith("data:image/png;base64,iVBOR")
    assert page.find(class_="input").get_text().strip() == cell.source
    assert page.find(class_="k").get_text() == "for"  # highlighted
    assert "7" not in page.find("main").get_text()


def test_formulas_become_mathml_and_code_keeps_its_dollars(tmp_path):
    cells = [
        new_markdown_cell("Costs $x_1$ and `$HOME` and\n\n$$\\frac{a}{b}$$\n\nend."),
        new_markdown_cell("\\begin{align}a &= b\\\\c &= d\\end{align}"),
    ]
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", *cells))["01_a.html"]
    inline, block, align = page.find("main").find_all("math")[2:]
    assert [e.get_text() for e in inline.find("msub").children] == ["x", "1"]
    assert block["display"] == "block"
    assert [e.get_text() for e in block.find("mfrac").children] == ["a", "b"]
    assert len(align.find_all("mtr")) == 2
    assert "$HOME" in [code.get_text() for code in page.find_all("code")]


def test_a_prime_is_as_large_as_its_letter(tmp_path):
    cell = new_markdown_cell("From $x'$ on.")
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    formula = page.find("main").find_all("math")[-1]
    assert formula.find("msup") is None and formula.find(class_="prime").get_text() == "\u2032"
    assert formula.get_text() == "x\u2032"


def test_links_between_notebooks_lead_to_pages_and_others_to_what_is_there(tmp_path):
    cell = new_markdown_cell(
        "[two](02_b.ipynb), [part](02_b.ipynb#x), [paper](https://arxiv.org/abs/1), [file](../a.md)"
    )
    page = built(tmp_path / "site", write(tmp_path / "01_a.ipynb", cell))["01_a.html"]
    assert {text(a): a["href"] for a in page.find("main").find_all("a")} == {
        "two": "02_b.html",
        "part": "02_b.html#x",
        "paper": "https://arxiv.org/abs/1",
    }
    assert "file" in page.find("main").get_text()


def test_the_index_lists_the_notebooks_in_order_with_title_and_question(tmp_path):
    paths = [
        write(tmp_path / f"0{k}_x.ipynb", first=FIRST.replace("01", f"0{k}")) for k in (1, 2, 3)
    ]
    pages = built(tmp_path / "site", *paths)
    entries = pages["index.html"].find("ol").find_all("li")
    assert [entry.a["href"] for entry in entries] == ["01_x.html", "02_x.html", "03_x.html"]
    assert text(entries[1].a) == "02 · A title with rt: what?"
    assert text(entries[1].p) == "Is a<b, or not?"
    assert pages["02_x.html"].title.get_text() == "02 · A title with rt: what?"


def test_each_page_leads_to_the_one_before_and_the_one_after(tmp_path):
    paths = [
        write(tmp_path / f"0{k}_x.ipynb", first=FIRST.replace("01", f"0{k}")) for k in (1, 2, 3)
    ]
    pages = built(tmp_path / "site", *paths)
    links = {
        name: [(a["href"], *a.get("rel", [])) for a in page.nav.find_all("a")]
        for name, page in pages.items()
        if page.nav
    }
    top, back, on = ("index.html",), ("prev",), ("next",)
    assert links == {
        "01_x.html": [top, ("02_x.html", *on)],
        "02_x.html": [top, ("01_x.html", *back), ("03_x.html", *on)],
        "03_x.html": [top, ("02_x.html", *back)],
    }


@pytest.mark.parametrize("first", ["Question?", "# A title", "**Question.** Why?"])
def test_a_notebook_that_does_not_begin_as_the_series_does_is_named(tmp_path, first):
    with pytest.raises(ValueError, match=r"01_a\.ipynb must begin with .* got "):
        notebooks.read_page(write(tmp_path / "01_a.ipynb", first=first))


def test_no_notebook_is_an_error_that_is_said(tmp_path, capsys):
    assert main(["site", "--notebooks", str(tmp_path), "--out", str(tmp_path / "site")]) == 1
    assert "notebooks must be at least one, got none" in capsys.readouterr().err


def test_nothing_asked_for_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["site"])
    assert "--out, --gallery and --pictures must be given, got none" in capsys.readouterr().err


def test_the_gallery_holds_the_figures_of_tagged_cells(tmp_path):
    tagged = {"tags": ["tol-0.02", "gallery-ranks"]}
    cells = [
        new_code_cell("a", outputs=[figure_output("not this")]),
        new_code_cell("b", outputs=[figure_output("this")], metadata=tagged),
    ]
    figures = notebooks.gallery_figures([write(tmp_path / "01_a.ipynb", *cells)])
    assert {name: f["layout"]["title"]["text"] for name, f in figures.items()} == {"ranks": "this"}


def test_a_gallery_without_a_tag_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="a cell tagged gallery-NAME, got none"):
        notebooks.gallery_figures([write(tmp_path / "01_a.ipynb")])


@pytest.mark.parametrize(
    ("n_figures", "n_cells", "got"), [(0, 1, "0 figures"), (2, 1, "2 fig"), (1, 2, "01_a")]
)
def test_a_gallery_tag_stands_on_one_cell_with_one_figure(tmp_path, n_figures, n_cells, got):
    outputs = [figure_output() for _ in range(n_figures)]
    tagged = {"tags": ["gallery-ranks"]}
    cells = [new_code_cell("a", outputs=outputs, metadata=tagged) for _ in range(n_cells)]
    with pytest.raises(ValueError, match=f"gallery-ranks must stand on one cell.*{got}"):
        notebooks.gallery_figures([write(tmp_path / "01_a.ipynb", *cells)])


def test_the_site_is_built_without_torch():
    code = "import sys, fmlora_kit.commands.pages.notebooks; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision", "timm", "captum"} & set(done.stdout.split())


def test_the_program_builds_the_stored_notebooks(program):
    folder, said = program
    assert said.startswith(f"{len(NOTEBOOKS)} notebooks with ")
    assert {p.name for p in folder.iterdir()} == {
        *(f"{path.stem}.html" for path in NOTEBOOKS),
        *("index.html", "site.css", "site.js", "plotly.min.js"),
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_figure_and_widget_of_a_notebook_is_on_its_page(path, real):
    page = real[1][f"{path.stem}.html"]
    outputs = [
        out.get("data", {})
        for cell in nbformat.read(path, as_version=4).cells
        for out in cell.get("outputs", ())
    ]
    stored = [data[notebooks.PLOTLY]["data"] for data in outputs if notebooks.PLOTLY in data]
    assert [figure["data"] for figure in figures_in(page).values()] == stored
    assert [p["data-figure"] for p in page.find_all(attrs={"data-figure": True})] == [
        f"figure-{k + 1}" for k in range(len(stored))
    ]
    n_widgets = sum(notebooks.RUN_IT in data.get("text/plain", "") for data in outputs)
    assert len(page.find_all(class_="widget-note")) == n_widgets


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_formula_of_a_notebook_is_readable(path, real):
    text = real[1][f"{path.stem}.html"].find("main")
    for formula in text.find_all("math"):
        assert "\\" not in formula.get_text() and formula.get_text().strip(), formula
    for code in text.find_all(["code", "pre", "math"]):
        code.extract()
    assert not re.search(r"\$|\\[a-z]+", text.get_text())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_links_lead_somewhere_and_the_only_addresses_are_those_of_references(path, real):
    folder, pages = real
    for name in (f"{path.stem}.html", "index.html"):
        for tag in pages[name].find_all(["script", "img", "link", "iframe", "source", "embed"]):
            source = tag.get("src") or tag.get("href") or "data:,"
            assert source.startswith("data:") or (folder / source).is_file(), source
        for a in pages[name].find_all("a"):
            target = urlsplit(a["href"])
            assert target.scheme == "https" or (folder / target.path).is_file(), a
    css = (folder / "site.css").read_text() + (folder / "site.js").read_text()
    assert "url(" not in css and "http" not in css


def test_those_who_hear_the_pages_are_told_what_is_on_them(program):
    pages = sorted(program[0].glob("*.html"))
    assert len(pages) > 2
    assert {page.name: wrong for page in pages if (wrong := mute(page.read_text("utf-8")))} == {}


def test_every_tagged_figure_lies_in_the_gallery_and_the_readme_shows_no_other():
    pictures = {path.stem for path in (ROOT / "notebooks" / "gallery").glob("*.png")}
    assert pictures == {"kit", *notebooks.gallery_figures(NOTEBOOKS)}  # kit: of a whole notebook
    shown = re.findall(r"\(notebooks/gallery/([^)]*)\.png\)", (ROOT / "README.md").read_text())
    assert shown and set(shown) <= pictures
