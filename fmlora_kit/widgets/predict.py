"""Ask for a prediction before a result is shown."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import ipywidgets
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.widgets.figure_box import FigureBox


class Predict(ipywidgets.VBox):
    """A question whose result stays locked until it has been answered.

    What is locked is not in the page before, and the answer cannot be changed after. Tab and Space
    do all of it: in JupyterLab other keys belong to the notebook.

    Args:
        question: what is to be predicted.
        reveal: a figure, a text, or a function without arguments that returns one of them.
        options: the answers one can choose from; None: a line to write in.

    Attributes:
        entry: the buttons of the options, or the line.
        button: shows what is locked; switched off until there is an answer.
        said: what was chosen, and then what came out, in a sentence.
        box: the figure, once it is shown.
        answer: what was answered, or None.

    Raises:
        ValueError: no question, fewer than two options, or a reveal of another kind.
    """

    def __init__(
        self,
        question: str,
        reveal: go.Figure | str | Callable[[], go.Figure | str],
        options: Sequence[str] | None = None,
    ):
        checks.text("question", question)
        if not callable(reveal):
            _check_reveal(reveal)
        self._reveal = reveal
        self.answer: str | None = None
        if options is None:
            look = {"description": "Prediction", "layout": {"width": "420px"}}
            self.entry = ipywidgets.Text(placeholder="a number or a few words", **look)
        else:
            listed = checks.different("options", options)
            if len(listed) < 2:
                raise checks.fail("options", "two at least", listed)
            texts = [checks.text("an option", each) for each in listed]
            hints = ["Choose before you look"] * len(texts)
            look = {"description": "Prediction", "style": {"button_width": "auto"}}
            self.entry = ipywidgets.ToggleButtons(options=texts, value=None, tooltips=hints, **look)
        hint = "Lock the prediction in, and show what came out"
        look = {"disabled": True, "tooltip": hint, "layout": {"width": "auto"}}
        self.button = ipywidgets.Button(description="Lock in and show", **look)
        self.said, self.box = ipywidgets.HTML(), FigureBox()
        self.entry.observe(lambda _: self._unlock(), names="value")
        self.button.on_click(lambda _: self._show())
        asked = ipywidgets.HTML(f"<b>Predict.</b> {html.escape(question)}")
        row = ipywidgets.HBox([self.entry, self.button], layout={"flex_flow": "row wrap"})
        super().__init__([asked, row, self.said, self.box])

    def _unlock(self) -> None:
        if self.answer is not None:
            return
        given = (self.entry.value or "").strip()
        self.button.disabled = not given
        self._say(f"Chosen: {html.escape(given)}. Nothing is shown yet." if given else "")

    def _say(self, words: str) -> None:
        self.said.value = f'<span role="status">{words}</span>'

    def _show(self) -> None:
        given = (self.entry.value or "").strip()
        if self.answer is not None or not given:
            return
        self.answer = given
        self.entry.disabled = self.button.disabled = True
        shown = self._reveal() if callable(self._reveal) else self._reveal
        words = f"You predicted: {html.escape(given)}."
        if isinstance(_check_reveal(shown), str):
            words += f" What came out: {html.escape(shown)}"
        else:
            self.box.show(shown)
        self._say(words)


def _check_reveal(reveal: object) -> object:
    kinds = "a figure, a text, or a function that returns one"
    return checks.instance("reveal", reveal, (go.Figure, str), kinds)
