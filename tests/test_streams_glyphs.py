"""The glyph streams: classes disjoint, no two characters alike, pixels decided by the seed."""

import sys
from functools import cache

import numpy as np
import pytest

from fmlora_kit.streams import glyph_styles, glyphs
from fmlora_kit.streams.glyphs import moving_styles
from fmlora_kit.streams.rendering import (
    FACES,
    PRETRAINING_SYMBOLS,
    SCRIPTS,
    STYLES,
    character_mask,
    render,
)

CHARACTERS = "".join(SCRIPTS.values())
SMALL = {"n_train": 1, "n_test": 1}


@cache
def masks(characters, face=FACES[0]):
    """(n, 32 * 32) ink of every character, 0..1, at half the size it is drawn in."""
    ink = [np.asarray(character_mask(c, face).reduce(2), np.float32) for c in characters]
    return np.stack(ink).reshape(len(characters), -1) / 255


def distances(a, b):
    """|x - y|_1 / (|x|_1 + |y|_1) of soft masks: 0 the same ink, 1 no ink in common."""
    return np.stack([np.abs(x - b).sum(1) / (x.sum() + b.sum(1)) for x in a])


def test_there_are_forty_scripts_of_ten_different_characters():
    assert len(SCRIPTS) == 40
    assert [len(c) for c in SCRIPTS.values()] == [10] * 40
    assert len(set(CHARACTERS)) == 400


@pytest.mark.parametrize("face", FACES)
def test_no_two_of_the_four_hundred_characters_look_the_same(face):
    between = distances(masks(CHARACTERS, face), masks(CHARACTERS, face))
    np.fill_diagonal(between, 1)
    i, j = np.unravel_index(between.argmin(), between.shape)
    assert between.min() > 0.09, (CHARACTERS[i], CHARACTERS[j])


@pytest.mark.parametrize("face", FACES)
def test_pretraining_symbols_are_none_of_them_neither_by_code_nor_by_look(face):
    assert len(set(PRETRAINING_SYMBOLS)) == len(PRETRAINING_SYMBOLS) == 500
    assert not set(PRETRAINING_SYMBOLS) & set(CHARACTERS)
    between = distances(masks(CHARACTERS, face), masks(PRETRAINING_SYMBOLS, face))
    i, j = np.unravel_index(between.argmin(), between.shape)
    assert between.min() > 0.09, (CHARACTERS[i], PRETRAINING_SYMBOLS[j])


def test_the_measure_of_look_tells_the_same_ink_from_other_ink():
    a, b = masks("AΟ"), masks("Α○")  # Latin and Greek A; a letter and a circle
    np.testing.assert_allclose(distances(a[:1], b[:1]), 0, atol=1e-6)
    assert distances(a[:1], a[1:])[0, 0] > 0.3


@pytest.mark.parametrize("face", FACES)
def test_every_character_is_in_the_font(face):
    """A missing character would be drawn as the font's box for missing characters."""
    box = masks("\U0010fffe", face)
    drawn = masks(CHARACTERS + PRETRAINING_SYMBOLS, face)
    missing = np.flatnonzero((drawn == box).all(axis=1))
    assert [(CHARACTERS + PRETRAINING_SYMBOLS)[k] for k in missing] == []


@pytest.mark.parametrize("n_tasks", [10, 20, 40])
def test_classes_are_disjoint_and_counted_from_zero(n_tasks):
    stream = glyphs(n_tasks, **SMALL)
    assert [k for task in stream for k in task.classes] == list(range(10 * n_tasks))
    assert stream.n_classes == 10 * n_tasks and stream.scenario == "class-incremental"
    assert [task.name for task in stream] == list(SCRIPTS)[:n_tasks]
    assert all("".join(task.class_names) == SCRIPTS[task.name] for task in stream)
    assert all(set(task.test_labels) == set(task.classes) for task in stream)


def test_numbers_of_images():
    task = glyphs(1, n_train=3, n_test=2)[0]
    assert task.train_labels.tolist() == [k for k in range(10) for _ in range(3)]
    assert task.test_labels.tolist() == [k for k in range(10) for _ in range(2)]
    assert len(task.train_images) == 30 and len(task.test_images) == 20


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others():
    first, again, other = (glyphs(2, seed, **SMALL) for seed in (4, 4, 5))
    assert first.describe() == again.describe()
    for a, b in zip(first, other, strict=True):
        assert all((x != y).any() for x, y in zip(a.train_images, b.train_images, strict=True))


def test_pixels_do_not_depend_on_the_place_in_the_stream():
    ahead = glyphs(scripts=["Greek", "Hebrew"], seed=2, **SMALL)
    behind = glyphs(scripts=["Hebrew", "Latin", "Greek"], seed=2, **SMALL)
    for part in ("train_images", "test_images"):
        np.testing.assert_array_equal(getattr(ahead[0], part), getattr(behind[2], part))
    assert ahead[0].classes == tuple(range(10)) and behind[2].classes == tuple(range(20, 30))
    assert behind[2].test_labels.tolist() == list(range(20, 30))


def test_training_and_test_pictures_differ():
    task = glyphs(1, n_train=5, n_test=5)[0]
    train = {picture.tobytes() for picture in task.train_images}
    assert len(train) == 50 and not train & {picture.tobytes() for picture in task.test_images}


def test_barred_appends_the_script_again_as_new_classes_with_a_bar():
    plain = glyphs(2, seed=1, **SMALL)
    stream = glyphs(2, seed=1, barred="Latin", **SMALL)
    assert [task.name for task in stream] == ["Latin", "Greek", "Latin, barred"]
    assert stream[2].classes == tuple(range(20, 30))
    assert stream[2].class_names[0] == "A\u0332"
    for before, after in zip(plain, stream, strict=False):
        np.testing.assert_array_equal(before.train_images, after.train_images)
    without = glyphs(scripts=["Greek"], barred="Latin", seed=1, **SMALL)
    np.testing.assert_array_equal(without[1].train_images, stream[2].train_images)


def test_a_barred_picture_is_bright_where_the_bar_is():
    """Between the legs of an A, near its foot, print is dark; the bar crosses there."""
    brightness = {
        bar: np.mean(
            [
                render("A", "print", np.random.default_rng(k), barred=bar)[24:26, 14:18].mean()
                for k in range(60)
            ]
        )
        for bar in (True, False)
    }
    assert brightness[True] > brightness[False] + 40


def test_styles_are_drawn_from_those_given():
    only = glyphs(1, styles=["scan"], n_train=2, n_test=1)[0]
    assert np.ptp(only.train_images.astype(int), axis=-1).max() == 0  # the one style that is grey
    mixed = glyphs(1, styles=["scan", "neon", "print", "relief"], n_train=10, n_test=1)[0]
    grey = (np.ptp(mixed.train_images.astype(int), axis=-1).max(axis=(1, 2)) == 0).mean()
    assert 0.1 < grey < 0.4  # one style of four


def test_no_stream_shows_the_style_of_pretraining_by_default():
    styles = glyphs.__kwdefaults__["styles"]
    assert "print" not in styles and set(styles) <= set(STYLES) and len(set(styles)) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tasks": 0}, "n_tasks must be between 1 and 40, got 0"),
        ({"n_tasks": 2.5}, "n_tasks must be a whole number between 1 and 40, got 2.5"),
        ({"n_tasks": None}, "n_tasks must be a whole number between 1 and 40, got None"),
        ({"seed": True}, "seed must be a whole number at least 0, got True"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"scripts": "Latin"}, "scripts must be a list, got 'Latin'"),
        (
            {"scripts": ["Latin", "Latin"]},
            r"scripts must be different .*, got \('Latin', 'Latin'\)",
        ),
        ({"scripts": [["Latin"]]}, r"scripts must be one of .*, got \['Latin'\]"),
        ({"barred": ""}, "barred must be one of .*, got ''"),
        ({"n_train": "3"}, "n_train must be a whole number at least 1, got '3'"),
        ({"styles": "scan"}, "styles must be a list, got 'scan'"),
        ({"n_tasks": 41}, "n_tasks must be between 1 and 40, got 41"),
        ({"scripts": ["Latin", "Klingon"]}, "scripts must be one of .*'Klingon'"),
        ({"barred": "Klingon"}, "barred must be one of .*'Klingon'"),
        ({"scripts": []}, r"scripts must be at least one name, got \(\)"),
        ({"n_train": 0}, "n_train must be at least 1, got 0"),
        ({"n_test": -1}, "n_test must be at least 1, got -1"),
        ({"styles": ["crayon"]}, "styles must be one of .*'crayon'"),
        ({"styles": []}, r"styles must be at least one name, got \(\)"),
    ],
)
def test_bad_options_are_refused_by_name_rule_and_value(options, message):
    with pytest.raises(ValueError, match=message):
        glyphs(**options)


def test_glyph_styles_has_the_same_classes_in_another_style_each_time():
    stream = glyph_styles(10, characters="AKM", n_train=2, n_test=2)
    assert stream.scenario == "domain-incremental" and stream.n_classes == 3
    assert [task.name for task in stream] == list(STYLES)
    assert {task.classes for task in stream} == {(0, 1, 2)}
    assert {task.class_names for task in stream} == {("A", "K", "M")}
    brightness = {task.name: task.train_images.mean() for task in stream}
    assert brightness["inverted"] > brightness["print"] + 60
    scan = stream[list(STYLES).index("scan")].train_images.astype(int)
    assert np.ptp(scan, axis=-1).max() == 0


@pytest.mark.parametrize("n_tasks", [0, 11])
def test_glyph_styles_refuses_more_styles_than_there_are(n_tasks):
    with pytest.raises(ValueError, match=f"n_tasks must be between 1 and 10, got {n_tasks}"):
        glyph_styles(n_tasks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"characters": "AAB"}, "characters must be different from each other"),
        ({"characters": ""}, "characters must be a text that is not empty, got ''"),
        ({"characters": ["A", "B"]}, "characters must be a text that is not empty, got"),
        ({"seed": 1.0}, "seed must be a whole number at least 0, got 1.0"),
        ({"n_test": 0}, "n_test must be at least 1, got 0"),
    ],
)
def test_bad_options_of_styles(options, message):
    with pytest.raises(ValueError, match=message):
        glyph_styles(**options)


def test_numpys_numbers_are_taken():
    stream = glyphs(np.int64(1), np.uint8(4), n_train=np.int32(1), n_test=np.int64(1))
    assert stream.describe() == glyphs(1, 4, **SMALL).describe()


def test_styles_move_on_from_task_to_task_for_training_and_testing_alike(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        sys.modules[moving_styles.__module__],
        "render",
        lambda character, style, rng, barred: (
            drawn.append(style) or np.zeros((32, 32, 3), np.uint8)
        ),
    )
    stream = moving_styles(12, n_train=20, n_test=10)
    assert stream.n_classes == 120 and stream.scenario == "class-incremental"
    names, each = list(STYLES), len(drawn) // 12
    for t, task in enumerate(stream):
        assert task.name == list(SCRIPTS)[t]
        expected = {names[(t + k) % 10] for k in range(3)}
        train = drawn[t * each : t * each + 200]
        assert set(train) == set(drawn[t * each + 200 : (t + 1) * each]) == expected


def test_a_moving_stream_is_decided_by_its_seed():
    first, same, other = (moving_styles(2, seed, n_train=2, n_test=1) for seed in (0, 0, 1))
    assert first.describe() == same.describe() != other.describe()


@pytest.mark.parametrize("bad", [{"width": 0}, {"width": 11}, {"n_tasks": 41}])
def test_a_moving_stream_refuses_what_it_cannot_draw(bad):
    name, value = next(iter(bad.items()))
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}"):
        moving_styles(**bad)
