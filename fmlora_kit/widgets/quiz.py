"""A question with choices, each of which gets an answer of its own."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from functools import partial

import ipywidgets

from fmlora_kit import checks


class Quiz(ipywidgets.VBox):
    """One question; every choice is answered by its own sentence, the wrong ones by what they miss.

    One may go on choosing, also after the right one, to read the other answers. Tab leads from
    choice to choice, Space takes one.

    Args:
        question: what is asked.
        answers: a sentence for each choice, by the text of the choice; two at least.
        right: the choice that is right, or several.

    Attributes:
        buttons: one for each choice, by its text.
        status: the answer to the last choice.
        tried: the choices that were taken, in this order.
        done: whether a right one was among them.

    Raises:
        ValueError: fewer than two choices, an empty text, or a right one that is no choice.
    """

    def __init__(self, question: str, answers: Mapping[str, str], right: str | Collection[str]):
        checks.text("question", question)
        given = checks.instance("answers", answers, Mapping, "sentences by choice")
        self._answers = {checks.text("a choice", each): given[each] for each in given}
        if len(self._answers) < 2:
            raise checks.fail("answers", "two at least", given)
        for choice, sentence in self._answers.items():
            checks.text(f"the answer to {choice!r}", sentence)
        rights = (right,) if isinstance(right, str) else checks.different("right", right)
        self._right = tuple(checks.choice("right", each, self._answers) for each in rights)
        if not self._right:
            raise checks.fail("right", "one of the choices at least", right)
        self.tried: tuple[str, ...] = ()
        look = {"width": "auto", "max_width": "100%", "align_self": "flex-start"}
        self.buttons = {
            choice: ipywidgets.Button(description=choice, tooltip="Take this choice", layout=look)
            for choice in self._answers
        }
        for choice, button in self.buttons.items():
            button.on_click(partial(self._take, choice))
        self.status = ipywidgets.HTML()
        asked = ipywidgets.HTML(f"<b>Quiz.</b> {html.escape(question)}")
        super().__init__([asked, *self.buttons.values(), self.status])

    @property
    def done(self) -> bool:
        """Whether a right choice was taken."""
        return any(choice in self._right for choice in self.tried)

    def _take(self, choice: str, _: object = None) -> None:
        self.tried = tuple(dict.fromkeys((*self.tried, choice)))
        right = choice in self._right
        self.buttons[choice].icon = "check" if right else "times"
        self.buttons[choice].style.button_color = "#006b4f" if right else "#a33c00"
        self.buttons[choice].style.text_color = "white"
        words = f"<b>{'Right' if right else 'Not this one'}: {html.escape(choice)}.</b>"
        answer = html.escape(self._answers[choice])
        self.status.value = f'<span role="status">{words} {answer}</span>'
