"""Which browser is used: the one that was chosen, or the first that is known and there."""

import pytest

from fmlora_kit.commands.pages import browser


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH with nothing in it but what the returned function puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(browser.VARIABLE, raising=False)

    def install(name):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        return str(program)

    return install


def test_no_browser_is_none_and_starting_one_says_what_was_looked_for(programs):
    assert browser.find_browser() is None
    pytest.importorskip("playwright")
    with pytest.raises(FileNotFoundError, match="chromium, chromium-browser, google-chrome"):
        with browser.chromium():
            pass


def test_the_first_known_name_in_path_is_taken(programs):
    chrome = programs("google-chrome")
    assert browser.find_browser() == chrome
    chromium = programs("chromium")
    assert browser.find_browser() == chromium


def test_the_variable_goes_first(programs, monkeypatch):
    programs("chromium")
    mine = programs("mine")
    monkeypatch.setenv(browser.VARIABLE, mine)
    assert browser.find_browser() == mine


def test_a_variable_that_names_no_program_is_an_error(programs, monkeypatch):
    programs("chromium")
    monkeypatch.setenv(browser.VARIABLE, "/no/such/browser")
    with pytest.raises(ValueError, match="FMLORA_BROWSER must name a program.*'/no/such/browser'"):
        browser.find_browser()
