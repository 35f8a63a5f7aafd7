"""`Predict`: nothing of the result is there before an answer, and the answer stays."""

import plotly.graph_objects as go
import pytest

from fmlora_kit.figures.show import PLOTLY, mime_bundle
from fmlora_kit.widgets.predict import Predict

QUESTION = "What becomes of a < b?"
OPTIONS = ("it rises", "it falls")


def figure():
    drawn = go.Figure(go.Bar(y=[4217]))
    return drawn.update_layout(title={"text": "What came out"}, height=320)


def everything(panel):
    """All that a page is given of a widget, below it too."""
    state = {k: v for k, v in panel.get_state().items() if k != "children"}
    below = (everything(child) for child in getattr(panel, "children", ()))
    return "".join([str(state), str(panel.layout.get_state()), *below])


@pytest.mark.parametrize("options", [None, OPTIONS])
def test_a_figure_is_locked_until_there_is_an_answer(options):
    panel = Predict(QUESTION, figure(), options)
    assert "a &lt; b" in everything(panel) and "4217" not in everything(panel)
    assert panel.button.disabled and panel.answer is None
    panel.button.click()  # as a page could that takes the lock away
    assert panel.answer is None and not panel.box.outputs
    panel.entry.value = "it falls"
    assert not panel.button.disabled and "4217" not in everything(panel)
    panel.button.click()
    assert panel.answer == "it falls"
    assert panel.box.outputs[0]["data"][PLOTLY] == mime_bundle(figure())[PLOTLY]


@pytest.mark.parametrize("entry", ["", "   "])
def test_blanks_are_no_answer_and_an_answer_can_be_taken_back(entry):
    panel = Predict(QUESTION, "a secret")
    panel.entry.value = "70"
    panel.entry.value = entry
    assert panel.button.disabled
    panel.button.click()
    assert panel.answer is None and "secret" not in everything(panel)


def test_a_text_is_shown_beside_the_answer_which_stays():
    panel = Predict(QUESTION, "it <fell> by 6", OPTIONS)
    panel.entry.value = OPTIONS[0]
    panel.button.click()
    said = panel.said.value
    assert "You predicted: it rises. What came out: it &lt;fell&gt; by 6" in said
    assert 'role="status"' in said and panel.entry.disabled and panel.button.disabled
    panel.entry.value = OPTIONS[1]  # as a page could that takes the lock away
    panel.button.click()
    assert panel.answer == OPTIONS[0] and panel.said.value == said


def test_what_is_costly_is_made_when_it_is_shown():
    made = []
    panel = Predict(QUESTION, lambda: made.append(1) or figure(), OPTIONS)
    assert not made
    panel.entry.value = OPTIONS[0]
    panel.button.click()
    panel.button.click()
    assert made == [1] and panel.box.outputs


@pytest.mark.parametrize("options", [None, OPTIONS])
def test_controls_are_labelled(options):
    panel = Predict(QUESTION, "done", options)
    assert panel.entry.description == "Prediction" and panel.button.tooltip
    assert panel.button.description == "Lock in and show"


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="question must be a text that is not empty, got ' '"):
        Predict(" ", "a")
    with pytest.raises(ValueError, match="reveal must be a figure, a text, .* got 3"):
        Predict("why?", 3)
    with pytest.raises(ValueError, match=r"options must be two at least, got \('a',\)"):
        Predict("why?", "a", ["a"])
    with pytest.raises(ValueError, match="options must be different from each other"):
        Predict("why?", "a", ["a", "a"])
    panel = Predict("why?", lambda: None)
    panel.entry.value = "so"
    with pytest.raises(ValueError, match="reveal must be a figure, a text, .* got None"):
        panel._show()
