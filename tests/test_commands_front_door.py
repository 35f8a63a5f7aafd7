"""The front door: the list of commands, every command's help, and one line for each error."""

import re
import shlex
import subprocess
import sys

import pytest

from fmlora_kit import __main__ as door
from fmlora_kit import __version__
from fmlora_kit.commands import arguments

SUB = {
    "data": ("list", "show", "check", "fake"),
    "pretrain": ("glyph_vit", "photo_vit"),
    "workshop": ("check", "build", "slides", "wheelhouse"),
}
ALL = [(name,) for name in door.COMMANDS]
ALL += [(name, sub) for name, subs in SUB.items() for sub in subs]


def said(capsys, *words):
    """What the command says to stderr, and its exit status."""
    try:
        status = door.main(list(map(str, words)))
    except SystemExit as left:
        status = left.code
    return status, capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_the_list_is_one_aligned_screen(words, capsys):
    assert door.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 25 and max(map(len, lines)) <= 80
    rows = [line for line in lines if re.match(r"  \w+ {2,}\w", line)]
    assert [row.split()[0] for row in rows] == list(door.COMMANDS)
    assert len({re.match(r"  \w+ +", row).end() for row in rows}) == 1
    assert lines[-2:] == ["example:", f"  {door.EXAMPLE}"]


def test_the_list_loads_neither_torch_nor_figures():
    code = "import sys; from fmlora_kit.__main__ import main; main([]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "fmlora_kit.__main__" in loaded, done.stderr
    assert not {"torch", "timm", "plotly", "pandas", "sklearn", "matplotlib"} & loaded


def test_the_version(capsys):
    assert door.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fmlora_kit {__version__}\n"


def test_an_unknown_command_gets_the_nearest_one(capsys):
    status, line = said(capsys, "trian")
    assert status == 2 and line.count("\n") == 1
    assert (
        line == "fmlora: error: command must be a known one, got 'trian'; did you mean 'train'?\n"
    )
    assert said(capsys, "xyz")[1].endswith("got 'xyz'; fmlora --help lists them\n")


def help_of(words, capsys):
    with pytest.raises(SystemExit, match="0"):
        door.main([*words, "--help"])
    return capsys.readouterr().out


def examples(text):
    """The command lines below "example:"."""
    return [line.strip() for line in text.partition("\nexample:\n")[2].splitlines() if line.strip()]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_help_ends_in_an_example_that_the_parser_takes(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = examples(help_of(words, capsys))
    assert found and found[-1].startswith(f"fmlora {' '.join(words)}")
    plain = arguments.Parser.parse_args
    taken = []

    def parse_args(self, *given):
        taken.append(plain(self, *given))
        raise KeyboardInterrupt  # parsed: enough

    monkeypatch.setattr(arguments.Parser, "parse_args", parse_args)
    for line in found:
        program, *given = shlex.split(line)
        for option, value in zip(given, given[1:], strict=False):
            if option in ("--images", "--data", "--folder"):  # must be there; they are the user's
                (tmp_path / value).mkdir(parents=True, exist_ok=True)
        assert program == "fmlora" and door.main(given) == 130
    assert len(taken) == len(found)


@pytest.mark.parametrize("name", list(door.COMMANDS))
def test_an_unknown_argument_gives_one_line_and_status_2(name, capsys):
    status, line = said(capsys, name, "--hepl")
    assert status == 2 and line.count("\n") == 1
    assert line.startswith(f"fmlora {name}: error: ")


def run(monkeypatch, error):
    """The front door with a command that raises ``error``."""

    def main(words):
        raise error

    module = type(sys)("fmlora_kit.fails")
    module.main = main
    monkeypatch.setitem(sys.modules, "fmlora_kit.fails", module)
    monkeypatch.setitem(door.COMMANDS, "demo", ("fails", ""))
    monkeypatch.setitem(door.COMMANDS, "bench", ("fails", ""))


@pytest.mark.parametrize("error", [ValueError("a\n  b"), OSError("a b"), RuntimeError("a b")])
def test_what_fails_is_one_line_and_status_1(error, monkeypatch, capsys):
    run(monkeypatch, error)
    assert said(capsys, "demo") == (1, "fmlora demo: error: a b\n")


def test_a_mistake_of_the_package_is_not_hidden(monkeypatch):
    run(monkeypatch, KeyError("a"))
    with pytest.raises(KeyError):
        door.main(["demo"])


def test_control_c_is_one_line_and_status_130(monkeypatch, capsys):
    run(monkeypatch, KeyboardInterrupt())
    again = "\nfmlora demo: stopped; the same command goes on where it was\n"
    assert said(capsys, "demo") == (130, again)
    assert said(capsys, "bench") == (130, "\nfmlora bench: stopped\n")


def test_a_console_that_lacks_letters_shows_question_marks():
    code = (
        "from fmlora_kit import __main__ as door; door.overview = lambda: 'rank ± α'; door.main([])"
    )
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert run.stdout.split() == [b"rank", b"?", b"?"], run.stderr
