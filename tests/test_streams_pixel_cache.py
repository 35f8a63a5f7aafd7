"""Decoded images in a file: the same as in memory, made once, whole or not at all."""

import json
import os
import shutil
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest
from helpers import image_trees
from helpers.image_trees import OF_IMAGES, read

from fmlora_kit.streams import Stream, Task, cub200, pixel_cache


@pytest.fixture
def photos(tmp_path):
    return image_trees.tree(tmp_path, "class")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "decoded"


def forbid(monkeypatch):
    monkeypatch.setattr(pixel_cache, "decode", None)  # whoever decodes fails


def kept(folder):
    """What is in a store, apart from its locks."""
    return sorted(path.suffix for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("name", OF_IMAGES)
def test_the_same_images_as_in_memory_decoded_once(name, tmp_path, store, monkeypatch, capfd):
    root = image_trees.tree(tmp_path, name)
    before, plain = image_trees.files(root), read(name, root)
    first = read(name, root, decoded=store)
    assert "decoding " in capfd.readouterr().err
    forbid(monkeypatch)
    later = read(name, root, decoded=store)
    assert not capfd.readouterr().err
    for stream in (first, later):
        assert stream.describe() == plain.describe()
        for part in ("train_images", "test_images"):
            images = [getattr(task, part) for task in stream]
            assert all(type(each) is np.memmap and not each.flags.writeable for each in images)
    assert kept(store) == [".json", ".npy"] and image_trees.files(root) == before


def test_joint_training_maps_the_same_file(tmp_path, store):
    root = image_trees.tree(tmp_path, "domainnet")
    stream = read("domainnet", root, decoded=store)
    together, copied = stream.joined(), read("domainnet", root).joined()
    assert together.describe() == copied.describe()
    assert type(together[0].train_images) is type(together[0].test_images) is np.memmap
    mixed = Stream("x", stream.scenario, tuple(stream)[::-1], 0).joined()  # not as they lie
    expected = np.concatenate([task.train_images for task in tuple(stream)[::-1]])
    np.testing.assert_array_equal(mixed[0].train_images, expected)


def test_each_order_has_its_own_file(tmp_path, store):
    image_trees.draw_cub200(tmp_path / "CUB_200_2011")
    for order in (None, 1993, 1993):
        options = {"n_tasks": 3, "image_size": 8, "class_order": order}
        stream = cub200(tmp_path, decoded=store, **options)
        assert stream.describe() == cub200(tmp_path, **options).describe()
    assert kept(store) == [".json", ".json", ".npy", ".npy"]


def touch(photos, store, monkeypatch):
    image_trees.draw(photos / "dog" / "0.png", 77)


def retime(photos, store, monkeypatch):
    os.utime(photos / "dog" / "0.png", ns=(1, 1))


def newer(photos, store, monkeypatch):
    monkeypatch.setattr(pixel_cache, "__version__", "99.0")


def damage_key(photos, store, monkeypatch):
    image_trees.truncate(next(store.glob("*.json")))


def damage_images(photos, store, monkeypatch):
    image_trees.truncate(next(store.glob("*.npy")))


def empty_images(photos, store, monkeypatch):
    next(store.glob("*.npy")).write_bytes(b"")


def lose_key(photos, store, monkeypatch):
    next(store.glob("*.json")).unlink()


@pytest.mark.parametrize(
    "change", [touch, retime, newer, damage_key, damage_images, empty_images, lose_key]
)
def test_what_does_not_fit_is_decoded_again_in_its_place(change, photos, store, monkeypatch):
    read("class", photos, decoded=store)
    change(photos, store, monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        forbid(patch)
        read("class", photos, decoded=store)
    assert read("class", photos, decoded=store).describe() == read("class", photos).describe()
    forbid(monkeypatch)
    read("class", photos, decoded=store)
    assert kept(store) == [".json", ".npy"]


def test_the_key_says_what_it_is_of(photos, store):
    read("class", photos, decoded=store)
    key = json.loads(next(store.glob("own-8px-*.json")).read_text())
    assert key["folder"] == str(photos) and key["images"] == 6 and key["image_size"] == 8
    assert key["upright"] and key["versions"]["fmlora_kit"] == pixel_cache.__version__
    assert np.load(next(store.glob("*.npy"))).shape == (6, 8, 8, 3)  # a plain file of NumPy's


def test_a_broken_image_leaves_nothing(photos, store):
    image_trees.truncate(photos / "dog" / "2.png")
    with pytest.raises(ValueError, match="dog/2.png must be a whole image file"):
        read("class", photos, decoded=store)
    assert kept(store) == []
    (photos / "dog" / "2.png").unlink()
    (photos / "dog" / "2.png").symlink_to(photos / "nowhere.png")
    with pytest.raises(FileNotFoundError, match="dog/2.png must be an image file, got none there"):
        read("class", photos, decoded=store)
    assert kept(store) == []


def test_what_is_interrupted_begins_anew(photos, store, monkeypatch):
    def stop(rows, first, images):
        write(rows, first, images[:1])
        raise KeyboardInterrupt

    write = pixel_cache._RowWriter.__call__
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pixel_cache._RowWriter, "__call__", stop)
        read("class", photos, decoded=store)
    assert kept(store) == []
    whole = read("class", photos, decoded=store).describe()
    name = next(store.glob("*.npy")).stem
    shutil.rmtree(store)
    store.mkdir()
    (store / f"{name}.part").write_bytes(b"\7" * 9999)  # of a process that was killed
    assert read("class", photos, decoded=store).describe() == whole
    assert kept(store) == [".json", ".npy"]


def test_a_disk_that_is_too_small(photos, store, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(5000, 4000, 1151))
    message = "decoded must have room for 6 images of 8 pixels, 1,152 bytes, got 1,151 bytes free"
    with pytest.raises(OSError, match=message):
        read("class", photos, decoded=store)
    assert kept(store) == []


def test_a_disk_that_fills_up(photos, store, monkeypatch):
    class Full:
        name = "images.part"
        tell = seek = staticmethod(lambda place=0: 0)

        def write(self, images):
            raise OSError(28, "No space left on device")

    rows = pixel_cache._RowWriter(Full(), 192, print)
    with pytest.raises(OSError, match="images.part must be written whole, got: .*No space left"):
        rows(0, np.zeros((1, 8, 8, 3), dtype=np.uint8))


def test_the_data_set_and_files_are_no_place_for_it(photos, tmp_path):
    before = image_trees.files(photos)
    (tmp_path / "link").symlink_to(photos)
    for folder in (photos, photos / "decoded", tmp_path / "link" / "decoded"):
        with pytest.raises(ValueError, match="decoded must lie outside the data set's folder"):
            read("class", photos, decoded=folder)
    with pytest.raises(ValueError, match="decoded must be a folder, got the file .*0.png"):
        read("class", photos, decoded=photos / "dog" / "0.png")
    assert image_trees.files(photos) == before


def test_a_mapped_stream_is_never_in_memory(tmp_path):
    path, n = tmp_path / "images.npy", 200
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, 224, 224, 3))
    images.flush()
    whole, labels = np.load(path, mmap_mode="r"), np.zeros(n // 4, dtype=np.int64)
    tracemalloc.start()
    a, b, c, d = np.split(whole, 4)
    tasks = tuple(
        Task(name, (0,), ("owl",), train, labels, test, labels)
        for name, train, test in (("first", a, c), ("second", b, d))
    )
    stream = Stream("x", "domain-incremental", tasks, 0)
    stream.describe()
    stream.joined().describe()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert whole.nbytes > 30e6 and peak < 1e6


def test_no_flipped_bit_of_a_store_is_taken(photos, store, monkeypatch):
    monkeypatch.setattr(pixel_cache, "CHUNK", 500)  # three chunks, the last one short
    whole, rng = read("class", photos, decoded=store).describe(), np.random.default_rng(0)
    kept = {path: path.read_bytes() for path in store.iterdir() if path.suffix != ".lock"}
    assert len(json.loads(kept[next(p for p in kept if p.suffix == ".json")])["crc32"]) == 3
    for _ in range(60):
        for path, data in kept.items():
            damaged = bytearray(data)
            damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
        assert read("class", photos, decoded=store).describe() == whole
