"""The script and the set-up: minutes add up, links lead somewhere, words are those used."""

import re
from pathlib import Path

import nbformat
import pytest

from fmlora_kit.commands import workshop
from fmlora_kit.commands.workshop_check import AGAIN

FOLDER = Path(__file__).parents[1] / "notebooks" / "workshop"
GUIDES = {name: (FOLDER / name).read_text("utf-8") for name in ("INSTRUCTOR.md", "SETUP.md")}
SCRIPT, SETUP = GUIDES["INSTRUCTOR.md"], GUIDES["SETUP.md"]
ROWS = re.findall(
    r"^\| (\d):(\d\d) \| (\d+) \| \[.+?\]\(#(.+?)\) \| (W\d)? ?\|$", SCRIPT, re.MULTILINE
)
HEADING = re.compile(r"^#{2,3} (.+) \((\d+) minutes\)$", re.MULTILINE)
LINKS = [(name, to) for name, text in GUIDES.items() for to in re.findall(r"\]\((\S+?)\)", text)]


def anchor(heading):
    """What a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_minutes_are_180_and_each_part_begins_where_the_last_one_ended():
    passed = 0
    for hour, minute, minutes, _, _ in ROWS:
        assert 60 * int(hour) + int(minute) == passed
        passed += int(minutes)
    assert passed == 180 and len(ROWS) > 8


def test_each_part_has_its_chapter_with_the_same_minutes():
    chapters = [(anchor(f"{name} ({n} minutes)"), n) for name, n in HEADING.findall(SCRIPT)]
    assert [(link, minutes) for _, _, minutes, link, _ in ROWS] == chapters


def test_the_notebooks_say_the_same_minutes():
    found = {}
    for path in sorted(FOLDER.glob("w*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        said = [HEADING.findall(c.source) for c in cells if c.cell_type == "markdown"]
        found[path.stem.upper()] = [(name, n) for each in said for name, n in each]
    if not found:
        pytest.skip("the workshop has no notebooks")
    planned = HEADING.findall(SCRIPT)
    assert [each for of in found.values() for each in of] == planned
    for (*_, link, notebook), (name, n) in zip(ROWS, planned, strict=True):
        assert link == anchor(f"{name} ({n} minutes)")
        if notebook:
            assert (name, n) in found[notebook]


@pytest.mark.parametrize(("name", "to"), LINKS)
def test_every_link_leads_somewhere(name, to):
    path, _, place = to.partition("#")
    target = (FOLDER / path) if path else FOLDER / name
    assert target.exists()
    if place:
        headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
        assert place in map(anchor, headings)


def test_every_exercise_has_an_answer_and_what_to_do_if_late():
    chapters = re.split(r"^### ", SCRIPT, flags=re.MULTILINE)[1:]
    exercises = [text for text in chapters if re.match(r"E\d ", text)]
    assert len(exercises) == 5
    assert all("*Answer*" in text and "*If late*" in text for text in exercises)


def test_ten_questions_each_with_an_answer():
    found = re.findall(r'^(\d+)\. \*\*"(.+?)"\*\* (.+)$', SCRIPT, re.MULTILINE)
    assert [int(n) for n, _, _ in found] == list(range(1, 11))
    assert all(len(answer) > 40 for _, _, answer in found)


def test_the_set_up_names_what_there_is():
    assert "SETUP.md" in AGAIN and "fmlora workshop check" in SETUP
    for platform in workshop.PLATFORMS:
        assert f"`{platform}`" in SETUP
    for words in re.findall(r"^fmlora (workshop [^\n#]+)|`fmlora (workshop \w[^`]+)`", SETUP, re.M):
        parts = " ".join(words).split()
        assert parts[1] in ("check", "build", "slides", "wheelhouse")
