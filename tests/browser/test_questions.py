"""`Predict` and `Quiz` in a notebook: locked until answered, by keyboard alone, with labels."""

import re

import nbformat
import pytest
from lab import NotebookPage
from nbformat.v4 import new_code_cell, new_notebook

SETUP = """
import plotly.graph_objects as go
from fmlora_kit.widgets.predict import Predict
from fmlora_kit.widgets.quiz import Quiz
figure = go.Figure(go.Bar(y=[4200 + 17]), {"title": {"text": "What came out"}, "height": 300})
"""
WRITTEN = "written = Predict('How many points?', 'about 6 points'); written"
CHOSEN = "chosen = Predict('Up or down?', figure, ('it rises', 'it falls')); chosen"
QUIZ = """
answers = {"drift": "Nothing competes here.", "competition": "There are more classes."}
quiz = Quiz("Drift or competition?", answers, "competition"); quiz
"""
# What somebody may try who wants to see it first.
AROUND = "button => { button.disabled = false; button.click(); button.disabled = true; }"


@pytest.fixture(scope="module")
def questions(browser, lab):
    """The notebook, run, with its three widgets in the page; each test uses another of them."""
    cells = [new_code_cell(code) for code in (SETUP, WRITTEN, CHOSEN, QUIZ)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), lab.notebooks / "questions.ipynb")
    notebook = NotebookPage(browser, lab, "questions.ipynb")
    notebook.start()
    notebook.wait()
    notebook.cell(3).get_by_role("button", name="competition").wait_for()
    yield notebook
    notebook.close()


def area(notebook, place):
    return notebook.cell(place).locator(".jp-Cell-outputWrapper")


def focused(notebook):
    """What has the focus: the text of a button, or the name of the element."""
    return notebook.page.evaluate(
        "document.activeElement.innerText.trim() || document.activeElement.tagName"
    )


def test_the_accessibility_tree_names_all_that_can_be_used(questions):
    trees = [area(questions, place).aria_snapshot() for place in (1, 2, 3)]
    assert re.search(r"Predict. How many points\?", trees[0])
    assert re.search(r'- textbox "Prediction"', trees[0])
    assert re.findall(r'- button "(it \w+)"', trees[1]) == ["it rises", "it falls"]
    for tree in trees[:2]:
        assert '- button "Lock in and show" [disabled]' in tree
    assert re.findall(r'- button "(\w+)"', trees[2]) == ["drift", "competition"]
    for tree in trees:
        assert not re.search(r"- (button|textbox)\s*(:|$)", tree, re.MULTILINE), tree


def test_predict_stays_locked_until_it_is_answered(questions):
    page, place = questions.page, area(questions, 2)
    show = place.get_by_role("button", name="Lock in and show")
    assert show.is_disabled() and not questions.shown(2)["figures"]
    show.evaluate(AROUND)
    assert questions.ask("print(chosen.answer)").strip() == "None"
    assert "4217" not in page.content()
    place.get_by_role("button", name="it rises").focus()
    page.keyboard.press("Tab")
    assert focused(questions) == "it falls"
    page.keyboard.press("Space")
    place.get_by_role("status").get_by_text("Chosen: it falls. Nothing is shown yet.").wait_for()
    page.keyboard.press("Tab")
    assert focused(questions) == "Lock in and show"
    page.keyboard.press("Space")
    place.locator(".js-plotly-plot .main-svg").first.wait_for()
    (figure,) = questions.shown(2)["figures"]
    assert figure["data"][0]["y"] == [4217] and figure["title"] == "What came out"
    place.get_by_role("status").get_by_text("You predicted: it falls.").wait_for()
    assert all(button.is_disabled() for button in place.get_by_role("button").all()[:3])
    assert not questions.requests and not questions.errors


def test_a_written_prediction_by_keyboard_alone(questions):
    page, place = questions.page, area(questions, 1)
    entry = place.get_by_role("textbox", name="Prediction")
    assert place.get_by_role("button", name="Lock in and show").is_disabled()
    entry.focus()
    page.keyboard.type("5")
    place.locator("button:enabled").wait_for()
    page.keyboard.press("Tab")
    assert focused(questions) == "Lock in and show"
    page.keyboard.press("Space")
    place.get_by_text("You predicted: 5. What came out: about 6 points").wait_for()
    assert not questions.requests and not questions.errors


def test_quiz_by_keyboard_alone(questions, tmp_path):
    page, place = questions.page, area(questions, 3)
    place.get_by_role("button", name="drift").focus()
    page.keyboard.press("Space")
    place.get_by_role("status").get_by_text(
        "Not this one: drift. Nothing competes here."
    ).wait_for()
    page.keyboard.press("Tab")
    assert focused(questions) == "competition"
    page.keyboard.press("Space")
    place.get_by_role("status").get_by_text("Right: competition. There are more").wait_for()
    assert questions.ask("print(quiz.tried)").strip() == "('drift', 'competition')"
    page.screenshot(path=tmp_path / "questions.png")
    assert not questions.requests and not questions.errors
