"""Records on disk: atomic, checked in full, never half-read."""

import builtins
import dataclasses
import errno
import json
import math
import os

import numpy as np
import pytest
from helpers.records import (
    THREE_TASKS,
    THREE_TASKS_ORACLE,
    make_record,
    make_task,
    plausible_record,
)

from fmlora_kit.record import Record, RecordError, storage


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rewrite(folder, change, *, rehash=True):
    """Edit record.json by hand, with or without a hash that fits."""
    document = json.loads((folder / "record.json").read_text())
    change(document)
    if rehash:
        document["sha256"] = storage.content_hash(document["record"])
    (folder / "record.json").write_text(json.dumps(document))


def with_seconds(record, *seconds):
    tasks = [dataclasses.replace(t, seconds=s) for t, s in zip(record.tasks, seconds, strict=True)]
    return dataclasses.replace(record, tasks=tuple(tasks))


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "run"
    make_record().save(folder)
    return folder


def test_what_is_loaded_is_what_was_saved(tmp_path):
    record = make_record(ranks=[[1, 2], [3, 4], [5, 6]])
    record.save(tmp_path / "deep" / "run")
    loaded = Record.load(tmp_path / "deep" / "run")
    assert loaded.same_as(record) and loaded == record
    np.testing.assert_array_equal(loaded.accuracy, record.accuracy)
    assert loaded.tasks[1].state["core.0"].dtype == np.float32
    assert loaded.tasks[1].state["step"].shape == ()
    assert loaded.tasks[1].seconds == 1.5
    assert math.isnan(loaded.tasks[0].scalars["novelty"])
    assert loaded.tasks[0].classes == (0, 1)


def test_an_empty_record_is_saved_too(tmp_path):
    make_record(n_done=0).save(tmp_path)
    assert Record.load(tmp_path) == make_record(n_done=0)


def test_more_than_ten_tasks_and_a_hundred_classes(tmp_path):
    record = plausible_record(12)
    assert record.n_classes == 120
    record.save(tmp_path)
    loaded = Record.load(tmp_path)
    assert loaded == record
    assert loaded.task_names == record.task_names
    assert loaded.tasks[11].classes[-1] == 119


def test_equal_runs_give_equal_bytes_apart_from_timing(tmp_path):
    with_seconds(make_record(), 1, 2, 3).save(tmp_path / "a")
    with_seconds(make_record(), 7, 8, 9).save(tmp_path / "b")
    a, b = files(tmp_path / "a"), files(tmp_path / "b")
    assert a.pop("timing.json") != b.pop("timing.json")
    assert a == b
    assert set(a) == {"record.json", *(f"task_00{k}.safetensors" for k in range(3))}


def test_saving_after_each_task_writes_only_what_is_new(tmp_path, monkeypatch):
    written = []
    real = storage.write_atomically
    monkeypatch.setattr(
        storage,
        "write_atomically",
        lambda folder, name, data: (written.append(name), real(folder, name, data)),
    )
    record = make_record(n_done=0)
    record.save(tmp_path)
    for t in range(3):
        written.clear()
        sizes = [10, 20, 10][: t + 1]
        record = record.with_task(make_task(t, THREE_TASKS[t], THREE_TASKS_ORACLE[t], sizes))
        record.save(tmp_path)
        assert written == [f"task_00{t}.safetensors", "timing.json", "record.json"]
    make_record().save(tmp_path / "at once")
    stepwise, at_once = files_without_folder(tmp_path), files(tmp_path / "at once")
    assert stepwise == at_once


def files_without_folder(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def test_a_loaded_record_goes_on(saved, tmp_path):
    folder = tmp_path / "resumed"
    make_record(n_done=2).save(folder)
    record = Record.load(folder)
    last = make_task(2, THREE_TASKS[2], THREE_TASKS_ORACLE[2], [10, 20, 10])
    record.with_task(last).save(folder)
    assert files(folder) == files(saved)


def test_a_deleted_array_file_is_written_again(saved):
    (saved / "task_001.safetensors").unlink()
    make_record().save(saved)
    assert Record.load(saved) == make_record()


def test_record_json_is_for_people(saved):
    text = (saved / "record.json").read_text()
    assert ' "format_version": 2,' in text
    assert '"accuracy": [0.7, 0.8, null],' in text
    assert max(map(len, text.splitlines())) < 120


def test_long_texts_are_broken_over_lines():
    value = {"objects": [{"name": "x" * 60}, {"name": "y" * 60}], "numbers": list(range(100))}
    text = storage.to_json_text(value)
    assert json.loads(text) == value
    assert len(text.splitlines()) == 7


# --- another record in the folder -------------------------------------------------------------


@pytest.mark.parametrize(
    "other", [make_record(seed=1), make_record(n_done=2), make_record(n_done=0)]
)
def test_another_or_longer_record_is_not_overwritten(saved, other):
    before = files(saved)
    with pytest.raises(RecordError, match="holds another record .*save with replace=True"):
        other.save(saved)
    assert files(saved) == before
    other.save(saved, replace=True)
    assert Record.load(saved) == other


def test_a_record_that_cannot_be_read_is_not_overwritten(saved):
    (saved / "record.json").write_text("{")
    with pytest.raises(RecordError, match="will not overwrite a record that cannot be read"):
        make_record().save(saved)
    make_record().save(saved, replace=True)
    assert Record.load(saved) == make_record()


# --- damaged folders ---------------------------------------------------------------------------


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(
        RecordError, match="no complete record in .*nowhere: record.json is missing"
    ):
        Record.load(tmp_path / "nowhere")
    (saved / "task_002.safetensors").unlink()
    with pytest.raises(RecordError, match="task_002.safetensors is missing"):
        Record.load(saved)


@pytest.mark.parametrize("keep", [0, 10, 100, -1])
def test_a_truncated_array_file(saved, keep):
    path = saved / "task_001.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RecordError, match="task_001.safetensors does not match its hash"):
        Record.load(saved)


def test_an_altered_array_file(saved):
    path = saved / "task_001.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RecordError, match="task_001.safetensors .*truncated or was altered"):
        Record.load(saved)


@pytest.mark.parametrize("keep", [0, 1, 200, -3])
def test_a_truncated_record_json(saved, keep):
    path = saved / "record.json"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RecordError, match="record.json is not valid JSON: it is truncated"):
        Record.load(saved)


def test_record_json_that_is_no_text(saved):
    (saved / "record.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="not valid JSON"):
        Record.load(saved)


def test_an_altered_number_in_record_json(saved):
    path = saved / "record.json"
    path.write_text(path.read_text().replace("0.7, 0.8", "0.7, 0.9"))
    with pytest.raises(RecordError, match="record.json does not match its own hash"):
        Record.load(saved)


def test_nan_smuggled_into_record_json(saved):
    path = saved / "record.json"
    path.write_text(path.read_text().replace("0.7, 0.8", "0.7, NaN"))
    with pytest.raises(RecordError, match="does not match its own hash"):
        Record.load(saved)


def test_a_newer_format_names_both_versions(saved):
    rewrite(saved, lambda d: d.update(format_version=3), rehash=False)
    with pytest.raises(RecordError, match="record format 3, .* reads is format 2; update"):
        Record.load(saved)


def test_format_1_had_neither_test_labels_nor_traces(saved):
    rewrite(saved, lambda d: d.update(format_version=1), rehash=False)
    for task in Record.load(saved).tasks:
        assert task.test_labels.shape == (0,) and task.traces == {}


def test_test_labels_and_traces_come_back(tmp_path):
    traces = {"drs.temperature": np.array([2.0, 0.3]), "gates": np.ones((2, 3, 4), np.float32)}
    labels = np.array([0] * 9 + [1])  # as the accuracy of 0.9 says
    task = make_task(
        0, THREE_TASKS[0], THREE_TASKS_ORACLE[0], (10,), test_labels=labels, traces=traces
    )
    make_record(n_done=0).with_task(task).save(tmp_path / "run")
    (back,) = Record.load(tmp_path / "run").tasks
    assert back.same_as(task) and back.test_labels.tolist() == labels.tolist()
    assert back.traces["gates"].shape == (2, 3, 4) and back.traces["gates"].dtype == np.float32
    assert back.traces["drs.temperature"].tolist() == [2.0, 0.3]


@pytest.mark.parametrize("version", [None, 0, "1", True])
def test_a_senseless_format_version(saved, version):
    rewrite(saved, lambda d: d.update(format_version=version), rehash=False)
    with pytest.raises(RecordError, match="format_version must be a positive integer"):
        Record.load(saved)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_record_json_that_holds_no_object(saved, text):
    (saved / "record.json").write_text(text)
    with pytest.raises(RecordError, match="record.json must hold a JSON object"):
        Record.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["record"].update(tasks=None), "'tasks' must be a list of objects"),
        (lambda d: d["record"].update(tasks=[3]), "'tasks' must be a list of objects"),
        (lambda d: d["record"]["tasks"][0].update(file="../x"), "file of task 0 must be 'task_000"),
        (lambda d: d["record"]["tasks"][0].update(n_test=99), "cover the 99 test images"),
        (lambda d: d["record"]["tasks"][0].pop("accuracy"), "accuracy must be a list, got None"),
        (
            lambda d: d["record"]["tasks"][0].update(accuracy=0.0),
            "accuracy must be a list, got 0.0",
        ),
        (lambda d: d["record"]["tasks"][0].update(scalars=[]), r"scalars must be a dict, got \[\]"),
        (lambda d: d["record"]["tasks"][0].pop("name"), "must be as save writes it, got: .*'name'"),
        (lambda d: d["record"].update(more=1), "must be as save writes it, got: .*'more'"),
        (lambda d: d["record"]["tasks"][0].update(accuracy=[2, None, None]), "fractions"),
        (lambda d: d["record"]["tasks"][0].update(accuracy=["a", None, None]), "breaks a rule"),
        (lambda d: d["record"].update(colour="red"), "unexpected keyword argument 'colour'"),
        (lambda d: d["record"].update(n_tasks=5), "one entry per task of the stream \\(5\\)"),
        (lambda d: d["record"].update(scenario="other"), "scenario must be one of"),
    ],
)
def test_a_consistent_file_that_breaks_a_rule(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(RecordError, match=message):
        Record.load(saved)


def test_an_array_file_of_another_kind(saved):
    (saved / "task_000.safetensors").write_bytes(b"no arrays in here")
    digest = storage.sha256(b"no arrays in here")
    rewrite(saved, lambda d: d["record"]["tasks"][0].update(sha256=digest))
    with pytest.raises(RecordError, match="arrays must be in safetensors format"):
        Record.load(saved)


# --- timing --------------------------------------------------------------------------------------


def test_timing_may_be_missing(saved):
    (saved / "timing.json").unlink()
    loaded = Record.load(saved)
    assert np.isnan(loaded.seconds).all()
    assert loaded == make_record()


def test_timing_of_a_run_killed_between_two_files(saved):
    (saved / "timing.json").write_text('{"seconds": [1, null, 3, 4]}')
    np.testing.assert_array_equal(Record.load(saved).seconds, [1, np.nan, 3])
    (saved / "timing.json").write_text('{"seconds": [1]}')
    np.testing.assert_array_equal(Record.load(saved).seconds, [1, np.nan, np.nan])


@pytest.mark.parametrize("text", ['{"seconds": ["a"]}', '{"seconds": [-1]}', "{}"])
def test_senseless_timing(saved, text):
    (saved / "timing.json").write_text(text)
    with pytest.raises(RecordError, match="timing.json: 'seconds' must be a list of numbers >= 0"):
        Record.load(saved)


# --- the disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing_call", range(1, 7))
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, failing_call):
    """Whatever file cannot be flushed, the record saved before loads, and nothing else is left."""
    make_record(n_done=2).save(tmp_path)
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == failing_call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(RecordError, match="the disk must have room, got: No space left on device"):
        make_record().save(tmp_path)
    monkeypatch.undo()
    assert not list(tmp_path.glob(".*.tmp"))
    assert Record.load(tmp_path).same_as(make_record(n_done=2 if failing_call < 6 else 3))
    make_record().save(tmp_path)
    assert Record.load(tmp_path) == make_record()


def test_a_disk_that_fills_while_writing(tmp_path, monkeypatch):
    make_record(n_done=1).save(tmp_path)
    before = files(tmp_path)
    real = builtins.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "open", lambda *a: Full(real(*a)), raising=False)
    with pytest.raises(RecordError, match="No space left on device"):
        make_record().save(tmp_path)
    assert files(tmp_path) == before


def test_no_permission_to_write(tmp_path, monkeypatch):
    make_record(n_done=1).save(tmp_path)
    before = files(tmp_path)

    def denied(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(storage, "open", denied, raising=False)
    with pytest.raises(RecordError, match="folder must be writable .*got: Permission denied"):
        make_record().save(tmp_path)
    assert files(tmp_path) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RecordError, match="folder must be writable"):
            make_record().save(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RecordError, match=f"cannot save the record in {tmp_path / 'run'}"):
        make_record().save(tmp_path / "run")
    with pytest.raises(RecordError, match="cannot read .*record.json"):
        Record.load(tmp_path / "run")


def test_a_killed_run_leaves_the_earlier_record_and_no_litter_after_the_next_save(tmp_path):
    """As after kill -9: the new task's file and a temporary file are there, record.json is old."""
    make_record(n_done=2).save(tmp_path)
    (tmp_path / "task_002.safetensors").write_bytes(b"half")
    (tmp_path / ".task_002.safetensors.tmp").write_bytes(b"ha")
    assert Record.load(tmp_path) == make_record(n_done=2)
    make_record().save(tmp_path)
    assert Record.load(tmp_path) == make_record()
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_system_that_cannot_open_folders(tmp_path, monkeypatch):
    def refused(*_args):
        raise PermissionError(errno.EACCES, "as on Windows")

    monkeypatch.setattr(storage.os, "open", refused)
    make_record().save(tmp_path)
    assert Record.load(tmp_path) == make_record()
