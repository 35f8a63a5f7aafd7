"""A table is HTML with every cell in its place, and words that say the same."""

from bs4 import BeautifulSoup
from helpers.records import make_record

from fmlora_kit.figures import run_card_table
from fmlora_kit.figures.describe import LONGEST
from fmlora_kit.figures.table import HEIGHT, Block, Table

BLOCK = Block(["method", "<b>a</b><br>3 seeds"], [["one", "two"], ["1 &lt; 2", "4"]], marked=[1])
TABLE = Table('Sizes "of" two', "In numbers.", (BLOCK, Block(["more"], [["five"]])))


def test_every_cell_stands_in_its_row_and_column():
    page = BeautifulSoup(TABLE.html(), "html.parser")
    first, second = page.find_all("table")
    rows = [[cell.get_text() for cell in row.find_all("td")] for row in first.tbody("tr")]
    assert rows == [["one", "1 < 2"], ["two", "4"]]
    assert [head.get_text(" ") for head in first.thead("th")] == ["method", "a 3 seeds"]
    assert [cell.get_text() for cell in second("td")] == ["five"]
    aligned = ["text-align:left" in cell["style"] for cell in first.tbody.tr("td")]
    assert aligned == [True, False]
    assert ["style" in row.attrs for row in first.tbody("tr")] == [False, True]


def test_it_scrolls_under_its_head_and_by_keyboard():
    (box,) = BeautifulSoup(TABLE.html(), "html.parser").select('[role="region"]')
    assert f"max-height:{HEIGHT}px" in box["style"] and box["tabindex"] == "0"
    assert box["aria-label"] == "Sizes of two"
    assert all("position:sticky" in head["style"] for head in box("th"))


def test_the_colours_are_those_of_the_theme():
    for cell in BeautifulSoup(TABLE.html(), "html.parser").find_all(["table", "th"]):
        assert "color:var(--jp-" in cell["style"]


def test_the_words_say_the_same():
    bundle = TABLE._repr_mimebundle_()
    assert bundle == {"text/html": TABLE.html(), "text/plain": TABLE.words()}
    assert TABLE.words() == (
        'Sizes "of" two. In numbers. method | a 3 seeds. one | 1 < 2. two | 4. more. five.'
    )
    long = Table("t", "", (Block(["a"], [["word " * 100] * 10]),)).words()
    assert len(long) <= LONGEST + 2 and long.endswith(" …")


def test_names_are_no_markup():
    html = run_card_table({"<b>x": make_record()}).html()
    assert "&lt;b&gt;x" in html and "<b>x" not in html
