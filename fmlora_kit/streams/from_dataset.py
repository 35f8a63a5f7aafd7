"""Any data set of (image, label) as a stream: torch, torchvision, Hugging Face, one's own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from fmlora_kit import checks
from fmlora_kit.streams import sampling
from fmlora_kit.streams.images import GROUND, check_ground, fit
from fmlora_kit.streams.pixel_cache import cache_folder, map_file, split_rows
from fmlora_kit.streams.sampling import ClassItems
from fmlora_kit.streams.task import Stream

IMAGE_KEYS, LABEL_KEYS = ("image", "img"), ("label", "labels", "fine_label", "target")
LARGE = 2 * 10**9  # bytes that are decoded into memory without being asked for


def from_dataset(
    train: object,
    test: object,
    seed: int = 0,
    *,
    tasks: int | Sequence[int],
    first_task: int | None = None,
    classes: Sequence | None = None,
    class_order: int | None = None,
    task_order: Sequence[int] | None = None,
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    ground: str = GROUND,
    decoded: str | Path | None = None,
    name: str = "dataset",
) -> Stream:
    """Class-incremental, of anything with ``len()`` and items (image, label), or such a mapping.

    That is what data sets of torch, torchvision (also a `Subset`) and Hugging Face give. Images are
    Pillow's, or arrays or tensors, (height, width), (height, width, 1, 3 or 4) or channels first:
    bytes, or floats from 0 to 1. Labels are whole numbers or texts. Every item is read twice: for
    its label, then for its image. Do not augment here; see `Budget`.

    Args:
        train: the training images.
        test: the test images.
        seed: which images a limit keeps.
        tasks: how many, with equally many classes each; or how many classes each has: (50, 10, 10).
        first_task: how many classes the first task has, if it is not like the others.
        classes: which classes there are, in this order, by name or label; default: all, by label.
        class_order: default: as ``classes``; a number: the permutation of this seed.
        task_order: the order in which the tasks are learnt, as numbers from 0.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class; None: all.
        n_test: at most so many test images per class; None: all.
        ground: the colour that transparent pictures are laid over.
        decoded: a folder where one file holds the decoded images, which are read from there when
            they are needed; written anew at each call. None: memory, up to 2 GB.
        name: of the stream.

    Raises:
        ValueError: an argument out of range, an item that is no (image, label), an image of another
            kind, a class without images, or more than memory shall hold.
    """
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    ground, name = check_ground(ground), checks.text("name", name)
    both = {"train": train, "test": test}
    labels = {part: _labels(part, data) for part, data in both.items()}
    names = _names(train, labels["train"])
    chosen = _chosen(names, classes, class_order)
    items = [
        ClassItems(names[k], *(_places(part, labels[part], k) for part in both)) for k in chosen
    ]
    for each in items:
        if not each.train:
            raise ValueError(f"train must hold images of every class, got none of {each.name!r}")
    kept = [each.at_most(n_train, n_test, seed) for each in items]
    read = _reader(both, labels, image_size, ground, decoded, name)
    sizes = sampling.task_sizes(len(kept), tasks, first_task, "tasks")
    if task_order is not None:
        order = checks.different("task_order", task_order)
        if sorted(checks.integer("task_order", k) for k in order) != list(range(len(sizes))):
            raise checks.fail("task_order", f"the numbers 0 to {len(sizes) - 1}", order)
        ends = np.cumsum([0, *sizes]).tolist()
        kept = [each for k in order for each in kept[ends[k] : ends[k + 1]]]
        sizes = [sizes[k] for k in order]
    by = "as given" if classes is not None else sampling.order_in_words(class_order, "by label")
    about = {
        "source": type(train).__name__,
        "split": "as given",
        "class_order": by,
        "partial": sampling.partial_note([], n_train, n_test),
    }
    made = sampling.class_incremental(kept, sizes, read)
    return Stream(name, "class-incremental", made, seed, about)


def _item(part: str, data: object, k: int) -> tuple[object, object]:
    """Image and label of one item."""
    item = data[k]
    if isinstance(item, Mapping):
        keys = [next((key for key in known if key in item), None) for known in _KEYS]
        if None in keys:
            rule = f"with a key of {IMAGE_KEYS} and one of {LABEL_KEYS}"
            raise checks.fail(f"{part}[{k}]", rule, tuple(item))
        return item[keys[0]], item[keys[1]]
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise checks.fail(f"{part}[{k}]", "(image, label), or a dict of both", item)
    return item[0], item[1]


_KEYS = (IMAGE_KEYS, LABEL_KEYS)


def _labels(part: str, data: object) -> list[Hashable]:
    """The label of every item."""
    none = isinstance(data, Mapping) or not getattr(data, "ndim", 1)  # an array of no dimension
    if none or not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise checks.fail(part, "a data set with len() and items (image, label)", data)
    n = checks.integer(f"len({part})", len(data), 1)
    bar = tqdm(range(n), desc=f"labels of {part}", unit=" images", leave=False, disable=n < 5000)
    return [_label(f"the label of {part}[{k}]", _item(part, data, k)[1]) for k in bar]


def _label(what: str, label: object) -> Hashable:
    if isinstance(label, str):
        return checks.text(what, label)
    label = label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label
    return checks.integer(what, label, 0)


def _names(data: object, labels: list[Hashable]) -> dict[Hashable, str]:
    """Label -> name, for every label there is: torchvision's names, Hugging Face's, or itself."""
    inner = data
    while hasattr(inner, "dataset"):  # a Subset
        inner = inner.dataset
    known = getattr(inner, "classes", None)
    features = getattr(inner, "features", None)
    if isinstance(features, Mapping):
        key = next((key for key in LABEL_KEYS if key in features), None)
        known = getattr(features.get(key), "names", None)
    known = known if isinstance(known, list | tuple) else ()
    found = sorted(set(labels), key=lambda label: (isinstance(label, str), label))
    plain = isinstance(found[0], int) and len(set(known)) == len(known) > max(found, default=0)
    return {k: str(known[k]) if plain else str(k) for k in found}


def _chosen(
    names: Mapping[Hashable, str], classes: Sequence | None, class_order: int | None
) -> list[Hashable]:
    """The labels in the order they are learnt."""
    found = list(names)
    if classes is not None:
        by_name = {name: k for k, name in names.items()}
        listed = checks.different("classes", classes)
        found = [by_name.get(each, each) if isinstance(each, Hashable) else None for each in listed]
        if not found or any(k not in names for k in found) or len(set(found)) < len(found):
            raise checks.fail(
                "classes", f"different ones of {checks.shown(tuple(by_name))}", listed
            )
    return [found[k] for k in sampling.order_of_classes(len(found), class_order)]


def _places(part: str, labels: list[Hashable], label: Hashable) -> tuple[tuple[str, int], ...]:
    return tuple((part, k) for k, each in enumerate(labels) if each == label)


def _reader(
    both: Mapping[str, object],
    labels: Mapping[str, list[Hashable]],
    image_size: int,
    ground: str,
    decoded: str | Path | None,
    name: str,
) -> Callable[[Sequence[tuple]], list[np.ndarray]]:
    """What reads the images at some places of the data sets; see `pixel_cache.Read`."""
    folder = None if decoded is None else cache_folder(decoded)

    def read(parts: Sequence[tuple]) -> list[np.ndarray]:
        places = [place for part in parts for place in part]
        shape = (len(places), image_size, image_size, 3)

        def fill(put: Callable[[int, np.ndarray], object]) -> None:
            for row, (part, k) in enumerate(places):
                image, label = _item(part, both[part], k)
                if _label(f"the label of {part}[{k}]", label) != labels[part][k]:
                    raise ValueError(f"{part} must give the same label each time, {part}[{k}] not")
                put(row, to_pixels(f"{part}[{k}]", image, image_size, ground)[None])

        if folder is not None:
            crc = zlib.crc32(repr(places).encode())
            whole = map_file(folder, f"{name}-{image_size}px-{crc:08x}", None, shape, fill)
            return split_rows(whole, parts)
        if (needed := int(np.prod(shape))) > LARGE:
            rule = f"a folder where {needed / 1e9:.1f} GB of images are held"
            raise checks.fail("decoded", rule, decoded)
        whole = np.empty(shape, np.uint8)
        fill(lambda row, image: np.copyto(whole[row : row + 1], image))
        whole.flags.writeable = False
        return split_rows(whole, parts)

    return read


def to_pixels(what: str, image: object, image_size: int, ground: str = GROUND) -> np.ndarray:
    """One image of any kind as uint8 RGB, (image_size, image_size, 3); a ValueError if of none."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(_as_bytes(what, image))
    try:
        return fit(image, image_size, ground)
    except (ValueError, OSError) as error:
        raise ValueError(f"{what} must be an image that can be read, got: {error}") from None


def _as_bytes(what: str, image: object) -> np.ndarray:
    """An array or a tensor as uint8, (height, width) or (height, width, 3 or 4)."""
    rule = "an image of Pillow's, or an array (height, width, 1, 3 or 4)"
    first = hasattr(image, "permute")  # a tensor of torch has its channels first
    array = np.asarray(image.detach().cpu() if first else image)
    if array.ndim == 3:
        ends = [array.shape[0] in (1, 3, 4), array.shape[2] in (1, 3, 4)]
        if ends[0] and (first or not ends[1]):
            array, ends[1] = array.transpose(1, 2, 0), True
        array = array[..., 0] if ends[1] and array.shape[2] == 1 else array
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] not in ((), (3,), (4,)):
        raise checks.fail(what, rule, image)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (0 <= low and high <= 1):
            got = f"floats from {low:g} to {high:g}"
            raise ValueError(f"{what} must be bytes, or floats from 0 to 1, got {got}")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(f"{what} must be bytes, or floats from 0 to 1, got {array.dtype}")
    return np.ascontiguousarray(array)
