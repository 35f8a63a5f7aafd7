"""Bad arguments of the programs: one line of option, rule and value, exit status 2, nothing run."""

from __future__ import annotations

import zlib
from importlib import import_module

import pytest
from helpers.fuzz import TIMES, examples, within
from hypothesis import given, seed
from hypothesis import strategies as st

from fmlora_kit import __main__ as door
from fmlora_kit.commands import arguments

TEXTS = st.one_of(
    st.sampled_from(
        (*("", " ", "0", "-1", "2.5", "1e3", "nan", "inf", "None", "True", "all,", "x", "é" * 300),
         *("[]", "{", '{"a": 1}', '"x"', "[" * 5000, "null", "9" * 5000, "a\0b", "\udcff"),
         *("x" * 10**5, "file", "file/deep", "nowhere", ",", "%s", "\n", "a\nb"))
    ),
    st.text(max_size=12),
    st.integers(max_value=0).map(str),
    st.floats().map(str),
)  # fmt: skip


def whole(low):
    def fits(text):
        try:
            return int(text) >= low
        except ValueError:
            return False

    return fits


def out(text):
    odd = text.startswith("file") or "\0" in text or len(text) > 200
    return bool(text.strip()) and not odd


def absent(text):
    """A path that may be given, though nothing is there."""
    return bool(text.strip()) and out(text) and not text.startswith("file")


def never(text):
    return False


COUNT, NATURAL = whole(1), whole(0)
RUNS = {"--seeds": COUNT, "--epochs": COUNT, "--workers": COUNT, "--out": out}
OPTIONS = {  # program, what it also needs: its options, and which texts each may be given
    ("demo",): {**RUNS, "--methods": never, "--stream": never, "--tasks": never},
    ("compare",): {**RUNS, "--methods": never, "--streams": never},
    ("ablation",): {**RUNS, "--study": never},
    ("train", "--out=new"): {
        **{"--method": never, "--stream": never, "--data": never, "--backbone": never},
        **{"--seed": NATURAL, "--epochs": COUNT, "--batch-size": COUNT, "--device": never},
        **{"--stream-options": never, "--method-options": never, "--out": out},
    },
    ("bench", "--quick"): {
        **{"--batch-size": COUNT, "--rounds": COUNT, "--steps": COUNT, "--threads": COUNT},
        **{"--methods": never, "--tasks": COUNT, "--device": never, "--out": out},
    },
    ("data", "check", "cub200"): {"--folder": absent},
    ("data", "fake", "pacs-4"): {"--folder": out},
    ("site",): {"--notebooks": never, "--out": out, "--gallery": out},
    ("pretrain", "glyph_vit"): {"--steps": COUNT, "--seed": NATURAL, "--out": out},
    ("test",): {"--jobs": COUNT, "--cell-timeout": COUNT},
}
LAST = {"demo": "_parse", "compare": "_parse", "ablation": "_parse", "train": "_job"}
LAST |= {"bench": "_parse"}


class Accepted(Exception):
    """The program would begin now."""


@pytest.mark.parametrize("program", OPTIONS, ids=" ".join)
def test_a_bad_argument_is_one_line_and_status_2(program, judge, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    _stop_when_accepted(program[0], monkeypatch)
    for option, fits in OPTIONS[program].items():
        _refuse(judge, capsys, program, option, fits)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _stop_when_accepted(name, monkeypatch):
    def stopped(act):
        def call(*given, **more):
            act(*given, **more)
            raise Accepted

        return call

    if name in LAST:
        module = import_module(f"fmlora_kit.{door.COMMANDS[name][0]}")
        monkeypatch.setattr(module, LAST[name], stopped(getattr(module, LAST[name])))
    else:
        parse_args = arguments.Parser.parse_args
        monkeypatch.setattr(arguments.Parser, "parse_args", stopped(parse_args))


def _refuse(judge, capsys, program, option, fits):
    @examples(5)
    @given(TEXTS.filter(lambda text: not fits(text)))
    def tried(text):
        capsys.readouterr()
        with within(20):
            try:
                status, kind = door.main([*program, f"{option}={text}"]), ""
            except SystemExit as left:
                status, kind = left.code, ""
            except Accepted:
                status, kind = 0, "wrong acceptance"
            except Exception as error:  # what the front door lets through is a traceback
                status, kind = 0, f"raw traceback {type(error).__name__}"
        said = capsys.readouterr().err
        clear = said.count("\n") == 1 and option in said and ("must" in said or "no " in said)
        kind = kind or ("clear error" if clear and status in (1, 2) else "unclear error")
        what = f"{' '.join(program)} {option}={text[:60]!r}"
        judge.count(kind if "raw" not in kind else "raw traceback", what, kind + said[-200:])

    if TIMES == 1:
        tried = seed(zlib.crc32(f"{program} {option}".encode()))(tried)
    tried()
