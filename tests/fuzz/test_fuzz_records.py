"""Damaged records, brief records and decoded stores: a sentence, or what was written."""

from __future__ import annotations

import json

import pytest
from helpers import image_trees
from helpers.fuzz import DAMAGE, JSON, damaged, examples
from helpers.records import confused, make_record
from hypothesis import given
from hypothesis import strategies as st

from fmlora_kit.record import Record, load_briefs, load_records
from fmlora_kit.record.archive import save_briefs
from fmlora_kit.record.storage import content_hash


def put(document, path, value):
    """Exchange one value deep inside a JSON document: at each level the path's next number."""
    for step in path:
        if isinstance(document, list | dict) and document:
            keys = range(len(document)) if isinstance(document, list) else list(document)
            parent, key = document, keys[step % len(keys)]
            document = document[key]
    parent[key] = value


@pytest.fixture(scope="module")
def record():
    return confused()


def test_a_damaged_record_folder(record, judge, tmp_path):
    record.save(tmp_path)
    files = sorted(path for path in tmp_path.iterdir() if path.name != "timing.json")
    whole = {path: path.read_bytes() for path in files}

    @examples(150)
    @given(st.sampled_from(files), DAMAGE)
    def damage_one(path, damage):
        path.write_bytes(damaged(whole[path], damage))
        judge(f"{path.name} {damage}", lambda: Record.load(tmp_path), (), record.same_as)
        path.write_bytes(whole[path])

    damage_one()


def test_damaged_times_of_a_record_are_a_sentence_or_times(record, judge, tmp_path):
    record.save(tmp_path)
    file = tmp_path / "timing.json"
    whole = file.read_bytes()

    @examples(50)
    @given(DAMAGE)
    def damage_one(damage):
        file.write_bytes(damaged(whole, damage))
        judge(f"timing.json {damage}", lambda: Record.load(tmp_path), (), record.same_as)

    damage_one()


def test_a_damaged_file_of_brief_records(judge, tmp_path):
    kept, file = [confused().brief(), make_record(ranks=[[1, 2]] * 3).brief()], tmp_path / "a.json"
    save_briefs(kept, file)
    whole = file.read_bytes()

    def same(found):
        return found == kept and all(
            a.seconds.tolist() == b.seconds.tolist() for a, b in zip(found, kept, strict=True)
        )

    @examples(300)
    @given(DAMAGE)
    def damage_one(damage):
        file.write_bytes(damaged(whole, damage))
        judge(f"briefs {damage}", lambda: load_briefs(file), (), same)

    damage_one()


@pytest.mark.parametrize("kind", ["record.json", "briefs.json"])
def test_a_strangers_records_with_a_right_hash_are_a_sentence_or_records(kind, judge, tmp_path):
    if kind == "record.json":
        confused().save(tmp_path)
    else:
        save_briefs([confused()], tmp_path / kind)
    whole = (tmp_path / kind).read_bytes()
    body = "record" if kind == "record.json" else "records"

    @examples(150)
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=5), JSON)
    def exchange_one(path, value):
        document = json.loads(whole)
        put(document, [list(document).index(body), *path], value)
        try:
            document["sha256"] = content_hash(document[body])
        except ValueError:
            pass  # NaN, which no hash is of
        (tmp_path / kind).write_text(json.dumps(document))
        load = Record.load if kind == "record.json" else load_briefs
        where = tmp_path if kind == "record.json" else tmp_path / kind
        judge(f"{kind} {path} {value!r}", lambda: load(where), (), lambda found: True)
        load_records(tmp_path)  # one bad record is named, never an error

    exchange_one()


def test_a_damaged_store_of_decoded_images(judge, tmp_path):
    photos, store = image_trees.tree(tmp_path, "class"), tmp_path / "decoded"
    whole = image_trees.read("class", photos, decoded=store).describe()
    files = sorted(path for path in store.iterdir() if path.suffix != ".lock")
    kept = {path: path.read_bytes() for path in files}

    @examples(60)
    @given(st.sampled_from(files), DAMAGE)
    def damage_one(path, damage):
        path.write_bytes(damaged(kept[path], damage))
        judge(
            f"{path.suffix} {damage}",
            lambda: image_trees.read("class", photos, decoded=store).describe(),
            (),
            whole.__eq__,
        )

    damage_one()
