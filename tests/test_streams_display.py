"""The cards of streams and tasks: small, escaped, in inherited colours, few pictures read."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from fmlora_kit.streams import Stream, Task, glyph_styles, glyphs
from fmlora_kit.streams.display import MAX_PICTURES, MAX_TASKS, SIDE, strip

SCRIPT = "<script>alert(1)</script>"


def noise(k, size=64, name="t", n_classes=10):
    """A task of pictures that no compression makes smaller."""
    images = np.random.default_rng(k).integers(0, 256, (2 * n_classes, size, size, 3))
    classes = tuple(range(n_classes * k, n_classes * (k + 1)))
    labels = np.repeat(classes, 2)
    names = tuple(f"c{c}" for c in classes)
    images = images.astype(np.uint8)
    return Task(name, classes, names, images, labels, images, labels)


def opened(uri):
    """The picture in a data URI."""
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


def test_a_long_stream_stays_small_and_says_what_is_left_out():
    html = Stream(
        "long", "class-incremental", [noise(k, name=f"t{k}") for k in range(40)], 0
    )._repr_html_()
    assert len(html) < 150_000 and html.count("<img") == MAX_TASKS
    assert "40 tasks" in html and "400 classes" in html and "and 30 tasks more" in html
    assert "64 × 64 pixels" in html and "20 training, 20 test images" in html


def test_a_short_stream_shows_every_task():
    html = glyphs(2, n_train=2, n_test=1)._repr_html_()
    assert re.findall(r">(\w+)</td>", html) == ["Latin", "Greek"] and "more" not in html
    assert "<b>glyphs</b>" in html and "class-incremental" in html and "seed 0" in html


def test_a_stream_of_domains():
    html = glyph_styles(3, characters="AB", n_train=1, n_test=1)._repr_html_()
    assert "domain-incremental" in html and "3 tasks" in html and "2 classes" in html
    assert html.count("<img") == 3 and ">inverted</td>" in html


def test_every_name_is_escaped():
    one = noise(0, 8, SCRIPT, 2)
    one = Task(**{**vars(one), "class_names": (SCRIPT, '"><img src=x>')})
    stream = Stream(SCRIPT, "class-incremental", (one,), 0, {"source": SCRIPT, SCRIPT: "x"})
    for html in (stream._repr_html_(), one._repr_html_()):
        assert SCRIPT not in html and "&lt;script&gt;" in html and "<img src=x" not in html
        assert html.count("<img") == 1


def test_colours_are_those_of_the_notebook():
    html = glyphs(1, n_train=1, n_test=1)._repr_html_()
    assert set(re.findall(r"(?:color|background): ?([^;\"]+)", html)) == {"inherit", "none"}


@pytest.mark.parametrize("size", [(8, 8), (300, 200), (1, 90)])
def test_a_strip_shows_a_picture_of_each_of_a_few_classes(size):
    labels = np.arange(12) % 9
    images = np.zeros((12, *size, 3), dtype=np.uint8)
    images[:] = (20 * labels)[:, None, None, None]
    names = tuple("abcdefghi")
    picture = opened(strip(Task("t", tuple(range(9)), names, images, labels, images, labels)))
    height, width = picture.height, (picture.width + 1) // MAX_PICTURES - 1
    assert max(height, width) == min(SIDE, max(size))
    reds = np.asarray(picture.convert("RGB"))[height // 2, width // 2 :: width + 1, 0]
    assert reds.tolist() == [20 * k for k in (0, 2, 3, 5, 6, 8)]  # evenly over the nine


def test_only_the_pictures_that_are_shown_are_read(monkeypatch):
    read = []

    class Mapped(np.ndarray):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    one = noise(0)
    mapped = Task(**{**vars(one), "train_images": one.train_images.view(Mapped)})
    strip(mapped)
    whole = [i for i in read if not isinstance(i, int | np.integer) and i != ()]
    assert len(read) == MAX_PICTURES and not whole
