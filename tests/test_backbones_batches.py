"""Batches of images: the right rows, without copying what is large."""

import numpy as np
import pytest
import torch
from helpers import models

from fmlora_kit.backbones import batches
from fmlora_kit.backbones.batches import Rows

CPU = torch.device("cpu")
IMAGES = models.noise(7, 4)
BATCH = torch.tensor([5, 0, 5, 2])


def test_on_the_cpu_an_array_stays_where_it_is():
    rows = Rows(IMAGES, CPU)
    assert rows.held is IMAGES and len(rows) == 7
    np.testing.assert_array_equal(rows[BATCH], IMAGES[[5, 0, 5, 2]])


def test_a_memory_map_is_read_row_by_row_and_never_written(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    stored = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = Rows(stored, CPU)
    assert rows.held is stored
    batch = rows[BATCH]
    batch += 1
    np.testing.assert_array_equal(stored, IMAGES)


def test_what_is_moved_as_a_whole_is_moved_in_parts(monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "_AT_ONCE", 3)
    rows = Rows(IMAGES, CPU, whole=True)
    assert isinstance(rows.held, torch.Tensor)
    np.testing.assert_array_equal(rows.held, IMAGES)
    np.testing.assert_array_equal(rows[BATCH], IMAGES[[5, 0, 5, 2]])


def test_tensors_are_taken_from_as_well():
    tokens = torch.randn(7, 3, 2, generator=models.generator())
    assert torch.equal(Rows(tokens, CPU)[BATCH], tokens[[5, 0, 5, 2]])


@pytest.mark.parametrize(("free", "whole"), [(4 * IMAGES.nbytes, True), (IMAGES.nbytes, False)])
def test_a_gpu_holds_what_takes_a_quarter_of_its_free_memory(monkeypatch, free, whole):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    assert batches._fits(IMAGES, torch.device("cuda")) is whole
