"""What a stranger planted where a record is written or read: links, FIFOs."""

import os

import pytest
from helpers.records import confused, make_record

from fmlora_kit.record import Record, RecordError, load_briefs, load_records
from fmlora_kit.record.archive import save_briefs

FILES = ("record.json", "timing.json", "task_000.safetensors")


@pytest.mark.parametrize("name", FILES)
def test_a_link_at_a_temporary_name_leaves_its_target_alone(name, tmp_path):
    target, folder = tmp_path / "precious", tmp_path / "run"
    target.write_text("mine")
    folder.mkdir()
    (folder / f".{name}.tmp").symlink_to(target)
    record = confused()
    record.save(folder)
    assert target.read_text() == "mine" and Record.load(folder) == record
    assert not (folder / name).is_symlink() and not list(folder.glob(".*"))


def test_a_link_at_the_temporary_name_of_brief_records_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / ".briefs.json.tmp").symlink_to(target)
    save_briefs([confused()], tmp_path / "briefs.json")
    assert target.read_text() == "mine" and len(load_briefs(tmp_path / "briefs.json")) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
@pytest.mark.parametrize("name", FILES)
def test_a_fifo_among_a_records_files_is_one_sentence(name, tmp_path):
    for each in ("good", "odd"):
        make_record(n_done=1).save(tmp_path / each)
    (tmp_path / "odd" / name).unlink()
    os.mkfifo(tmp_path / "odd" / name)
    shelf = load_records(tmp_path)
    assert list(shelf.records) == ["good"] and "a regular file" in shelf.unreadable["odd"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_a_fifo_in_the_place_of_brief_records_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "briefs.json")
    with pytest.raises(RecordError, match="it is no regular file"):
        load_briefs(tmp_path / "briefs.json")
