"""Types of arguments, and the one line that a wrong one gives."""

import argparse
import os

import pytest

from fmlora_kit.commands.arguments import (
    check_keys,
    folder,
    json_object,
    make_parser,
    names,
    one_line,
    out_folder,
    suggest,
    whole,
)


def refused(parse, text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse(text)
    return str(error.value)


def test_whole_numbers():
    assert whole(1)("12") == 12 and whole(0, 3)("3") == 3
    assert refused(whole(1), "0") == "must be a whole number at least 1, got 0"
    assert refused(whole(1), "2.5") == "must be a whole number at least 1, got '2.5'"
    assert refused(whole(1, 4), "5") == "must be a whole number at least 1 and at most 4, got 5"
    assert len(refused(whole(1), "x" * 1000)) < 150


def test_names_and_one_name():
    parse = names(("glyphs", "digits"))
    assert parse("all") == ("glyphs", "digits") and parse(" digits,glyphs,digits") == (
        "digits",
        "glyphs",
    )
    near = "must be all or among glyphs, digits, got 'glyps'; did you mean 'glyphs'?"
    assert refused(parse, "glyps,digits") == near
    assert suggest("Dem", ("demo", "data")) == "; did you mean 'demo'?"


def test_folders(tmp_path):
    (tmp_path / "file").touch()
    assert folder(str(tmp_path)) == tmp_path
    assert refused(folder, str(tmp_path / "file")).endswith("file': a file")
    assert refused(folder, str(tmp_path / "none")).endswith("none': none there")
    assert out_folder(str(tmp_path / "new" / "a")) == tmp_path / "new" / "a"
    assert not (tmp_path / "new").exists()
    assert refused(out_folder, str(tmp_path / "file" / "a")).endswith(
        f"{tmp_path / 'file'} is a file"
    )


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    said = refused(out_folder, str(tmp_path / "a"))
    assert said.startswith("must be a folder that can be written") and str(tmp_path) in said


def test_json_objects():
    assert json_object('{"lr": 0.1}') == {"lr": 0.1}
    for text in ("[1]", "{lr: 1}", "[" * 5000):
        assert refused(json_object, text).startswith('must be a JSON object like {"name": 1}, got ')


def wrong(parser, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(words)
    return capsys.readouterr().err


def test_a_parser_says_one_line(capsys):
    parser = make_parser("demo", "A demo.", "fmlora demo")
    parser.add_argument("--seeds", type=whole(1))
    parser.add_argument("--stream", choices={"glyphs": 1, "digits": 2}, metavar="NAME")
    start = "fmlora demo: error: "
    line = wrong(parser, ["--seeds", "0"], capsys)
    assert line == f"{start}--seeds must be a whole number at least 1, got 0\n"
    near = "--stream must be one of glyphs, digits, got 'glyph'; did you mean 'glyphs'?\n"
    assert wrong(parser, ["--stream", "glyph"], capsys) == start + near
    assert wrong(parser, ["--stream", "x"], capsys).endswith("be one of glyphs, digits, got 'x'\n")
    assert parser.parse_args(["--stream", "digits"]).stream == "digits"
    near = "--sedes is no argument of it; did you mean '--seeds'?\n"
    assert wrong(parser, ["--sedes=3"], capsys) == start + near
    assert wrong(parser, ["--seeds"], capsys).count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        check_keys(parser, "--options", {"learning": 1}, ("lr", "learn"))
    near = "--options must have names among lr, learn, got 'learning'; did you mean 'learn'?\n"
    assert capsys.readouterr().err == start + near


def test_errors_in_one_line():
    assert one_line(ValueError("a\n   b\n")) == "a b" and one_line(ValueError()) == "ValueError"
