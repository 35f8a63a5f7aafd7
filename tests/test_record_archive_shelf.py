"""All records below a folder, and the reasons why others could not be read."""

import pytest
from helpers.records import make_record

from fmlora_kit.record import RecordError, load_records


def test_records_are_found_by_their_place(tmp_path):
    ours, theirs = make_record(), make_record(method="sequential_lora", n_done=1)
    theirs.save(tmp_path / "b" / "seed_0")
    ours.save(tmp_path / "a")
    (tmp_path / "c").mkdir()
    shelf = load_records(tmp_path)
    assert list(shelf.records) == ["a", "b/seed_0"]
    assert shelf.records["a"] == ours and shelf.records["b/seed_0"] == theirs
    assert shelf.unreadable == {}


def test_a_record_in_the_folder_itself_goes_by_the_folders_name(tmp_path):
    make_record().save(tmp_path / "run")
    assert list(load_records(tmp_path / "run").records) == ["run"]


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path):
    make_record().save(tmp_path / "good")
    make_record().save(tmp_path / "torn")
    (tmp_path / "torn" / "task_001.safetensors").write_bytes(b"")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "record.json").write_text("not json")
    shelf = load_records(tmp_path)
    assert list(shelf.records) == ["good"]
    assert list(shelf.unreadable) == ["odd", "torn"]
    assert "task_001.safetensors" in shelf.unreadable["torn"]
    assert "record.json" in shelf.unreadable["odd"]


def test_a_folder_must_exist(tmp_path):
    with pytest.raises(RecordError, match="folder must be a folder that exists, got .*nowhere"):
        load_records(tmp_path / "nowhere")


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400])
def test_a_number_too_large_to_read_costs_no_other_record(number, tmp_path):
    for name in ("good", "odd"):
        make_record().save(tmp_path / name)
    (tmp_path / "odd" / "timing.json").write_text(f'{{"seconds": [{number}]}}')
    shelf = load_records(tmp_path)
    assert list(shelf.records) == ["good"]
    assert "timing.json" in shelf.unreadable["odd"] and len(shelf.unreadable["odd"]) < 400
