"""Brief records: what is kept, what is left out, what is refused."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.records import make_record

from fmlora_kit.analysis import metrics
from fmlora_kit.record import Record, RecordError, load_briefs
from fmlora_kit.record.archive import save_briefs
from fmlora_kit.record.storage import content_hash

SHIPPED = sorted((Path(__file__).parents[1] / "data" / "compare").glob("*.json"))


@pytest.fixture
def record():
    return make_record(ranks=[[1, 2], [3, 4], [5, 6]])


def test_a_brief_record_keeps_the_accuracies_sizes_and_times(record):
    brief = record.brief()
    assert metrics(brief) == pytest.approx(metrics(record), nan_ok=True)
    assert brief.ranks.tolist() == record.ranks.tolist()
    assert brief.seconds.tolist() == record.seconds.tolist()
    assert [t.n_deployed for t in brief.tasks] == [t.n_deployed for t in record.tasks]


def test_a_brief_record_leaves_the_arrays_out_and_says_how_large_they_were(record):
    brief = record.brief()
    for whole, short in zip(record.tasks, brief.tasks, strict=True):
        assert short.n_bytes == len(whole.to_bytes()) == whole.n_bytes
        assert not short.state and not short.predictions.size and not short.losses.size
    assert brief.brief() == brief
    assert brief != record


def test_the_size_is_that_of_the_files_of_a_saved_record(record, tmp_path):
    record.save(tmp_path)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [file.stat().st_size for file in files] == [task.n_bytes for task in record.tasks]


def test_many_brief_records_come_back_from_one_file(record, tmp_path):
    other = make_record(method="ewc_lora", n_done=2)
    save_briefs([record, other.brief()], tmp_path / "deep" / "briefs.json")
    back = load_briefs(tmp_path / "deep" / "briefs.json")
    assert back == [record.brief(), other.brief()]
    assert back[0].seconds.tolist() == record.seconds.tolist()
    assert [task.n_bytes for task in back[1].tasks] == [task.n_bytes for task in other.tasks]


def test_unknown_times_come_back_as_unknown(record, tmp_path):
    record = replace(record, tasks=(replace(record.tasks[0], seconds=float("nan")),))
    save_briefs([record], tmp_path / "briefs.json")
    (back,) = load_briefs(tmp_path / "briefs.json")
    assert np.isnan(back.seconds).all() and len(back.seconds) == 1


def test_a_brief_record_can_be_saved_as_a_record_too(record, tmp_path):
    record.brief().save(tmp_path)
    assert Record.load(tmp_path) == record.brief()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "brief records"),
        ("[]", "brief records"),
        ('{"format_version": 99, "records": []}', "format_version is 99, this version reads 1"),
        ('{"format_version": 1, "records": [{"tasks": []}]}', "seconds"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(text, why, tmp_path):
    file = tmp_path / "briefs.json"
    file.write_text(text)
    with pytest.raises(RecordError, match=why) as error:
        load_briefs(file)
    assert "briefs.json" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordError, match="cannot read .*gone.json: No such file"):
        load_briefs(tmp_path / "gone.json")


def test_an_accuracy_above_one_is_refused(record, tmp_path):
    file = tmp_path / "briefs.json"
    save_briefs([record], file)
    document = json.loads(file.read_text())
    document["records"][0]["tasks"][0]["accuracy"][0] = 1.5
    document["sha256"] = content_hash(document["records"])
    file.write_text(json.dumps(document))
    with pytest.raises(RecordError, match="fractions from 0 to 1"):
        load_briefs(file)


def test_no_changed_digit_and_no_flipped_bit_is_accepted_with_other_content(record, tmp_path):
    file = tmp_path / "briefs.json"
    save_briefs([record], file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    digits = [k for k, byte in enumerate(whole) if chr(byte).isdigit()]
    for trial in range(300):
        changed = bytearray(whole)
        if trial % 2:
            changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        else:
            place = rng.choice(digits)
            changed[place] = ord("0") + (changed[place] - ord("0") + rng.integers(1, 10)) % 10
        file.write_bytes(changed)
        with suppress(RecordError):  # a flip may only have moved a blank
            assert load_briefs(file) == [record.brief()], (trial, bytes(changed))


def test_a_file_without_a_hash_is_read_and_said_to_have_none(record, tmp_path):
    file = tmp_path / "briefs.json"
    save_briefs([record], file)
    document = json.loads(file.read_text())
    del document["sha256"]
    file.write_text(json.dumps(document))
    with pytest.warns(UserWarning, match="briefs.json has no hash"):
        assert load_briefs(file) == [record.brief()]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_comparisons_that_come_with_the_kit_have_a_hash(file, tmp_path):
    save_briefs(load_briefs(file), tmp_path / file.name)  # a missing one would be a warning
    assert (tmp_path / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400])
def test_a_number_too_large_to_read_is_one_sentence(number, record, tmp_path):
    file = tmp_path / "briefs.json"
    save_briefs([record], file)
    file.write_text(re.sub(r'("seconds": \[)[\d.]+', rf"\g<1>{number}", file.read_text()))
    with pytest.raises(RecordError, match="briefs.json must be a file of brief records"):
        load_briefs(file)


def test_a_file_that_cannot_be_written_is_named(record, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write .*briefs.json"):
        save_briefs([record], tmp_path / "file" / "briefs.json")
