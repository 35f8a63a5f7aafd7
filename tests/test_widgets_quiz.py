"""`Quiz`: each choice has its own answer."""

import pytest

from fmlora_kit.widgets.quiz import Quiz

ANSWERS = {
    "drift": "The task was given here, so that <nothing> competes.",
    "competition": "More classes to choose from.",
    "both": "Look at the dashed line again.",
}


def test_each_choice_gets_its_own_sentence_and_mark():
    quiz = Quiz("What fell, a or b?", ANSWERS, "competition")
    assert quiz.status.value == "" and quiz.tried == () and not quiz.done
    quiz.buttons["drift"].click()
    assert "Not this one: drift." in quiz.status.value and 'role="status"' in quiz.status.value
    assert "so that &lt;nothing&gt; competes." in quiz.status.value
    assert quiz.buttons["drift"].icon == "times" and not quiz.done
    quiz.buttons["competition"].click()
    assert "Right: competition." in quiz.status.value and ANSWERS["drift"] not in quiz.status.value
    assert quiz.buttons["competition"].icon == "check" and quiz.done
    quiz.buttons["drift"].click()  # to read it again
    assert quiz.tried == ("drift", "competition") and quiz.done
    assert "Not this one" in quiz.status.value


def test_several_may_be_right():
    quiz = Quiz("Which?", ANSWERS, ["drift", "both"])
    for choice, right in (("both", True), ("drift", True), ("competition", False)):
        quiz.buttons[choice].click()
        assert ("Right" in quiz.status.value) is right


def test_the_buttons_say_what_they_are():
    quiz = Quiz("What fell, <a> or b?", ANSWERS, "drift")
    assert [button.description for button in quiz.children[1:-1]] == list(ANSWERS)
    assert "&lt;a&gt;" in quiz.children[0].value
    assert all(button.tooltip for button in quiz.buttons.values())


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="question must be a text that is not empty"):
        Quiz("", ANSWERS, "drift")
    with pytest.raises(ValueError, match="answers must be sentences by choice, got 'drift'"):
        Quiz("a?", "drift", "drift")
    with pytest.raises(ValueError, match="answers must be two at least"):
        Quiz("a?", {"drift": "yes"}, "drift")
    with pytest.raises(ValueError, match="the answer to 'b' must be a text that is not empty"):
        Quiz("a?", {"a": "yes", "b": ""}, "a")
    with pytest.raises(ValueError, match="right must be one of .*, got 'drifts'"):
        Quiz("a?", ANSWERS, "drifts")
    with pytest.raises(ValueError, match="right must be one of the choices at least"):
        Quiz("a?", ANSWERS, [])
