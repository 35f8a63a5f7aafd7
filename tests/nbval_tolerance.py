"""A pytest plugin: nbval, with a numeric tolerance for plotly figures and printed numbers.

Two floats agree if they differ by less than any change of a third significant digit: 9.98 and 9.99
do not. Integers, words, colours, keys and shapes have to be equal. A cell tagged `tol-0.02` lets
its floats differ by a further 0.02. What nbval itself leaves out (pictures, widget ids) stays out.
"""

import base64
import copy
import itertools
import re

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

RTOL = 5e-4  # half of the smallest relative change of a third digit, 9.99 to 9.98
NOISE = 1e-9  # of an array's largest number: what may stand in the place of an exact zero
TINY = 1e-12  # the same for a number that stands alone

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURE = "image/jpeg"
SPOKEN = "in words"
TEXTS = ("text", "text/plain", "text/html", "text/markdown")
NUMBER = re.compile(
    r"(?<![\w.#])[-+]?(?>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?>(?:[eE][-+]?[0-9]+)?)(?!\w)"
)


def as_numbers(value):
    """Return a number, a list of numbers or plotly's base64 form of them as an array, else None."""
    if isinstance(value, dict) and {"bdata", "dtype"} <= value.keys():
        dtype = np.dtype(value["dtype"]).newbyteorder("<")
        flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype)
        return flat.reshape([int(n) for n in str(value.get("shape", flat.size)).split(",")])
    if not isinstance(value, (int, float, list)):
        return None
    array = np.array(value, dtype=object)
    kinds = {type(entry) for entry in array.flat}
    if not kinds or kinds == {type(None)} or not kinds <= {int, float, type(None)}:
        return None
    return array.astype(np.int64 if kinds == {int} else np.float64)


def close(stored, new, atol):
    """Return a boolean array: which numbers of two arrays of one shape agree."""
    if stored.dtype.kind in "iub" and new.dtype.kind in "iub":
        return stored == new
    finite = np.abs(stored[np.isfinite(stored)], dtype=np.float64)
    atol = max(atol, TINY, NOISE * finite.max(initial=0.0))
    return np.isclose(new, stored, rtol=RTOL, atol=atol, equal_nan=True)


def differences(stored, new, where="", *, atol=0.0):
    """Yield one line for each place where two JSON values do not agree."""
    old_numbers, new_numbers = as_numbers(stored), as_numbers(new)
    if old_numbers is not None and new_numbers is not None:
        yield from _number_differences(old_numbers, new_numbers, where, atol)
    elif isinstance(stored, dict) and isinstance(new, dict):
        for key in sorted(stored.keys() ^ new.keys()):
            yield f"{where}.{key}: only in the {'stored' if key in stored else 'new'} output"
        for key in stored.keys() & new.keys():
            yield from differences(stored[key], new[key], f"{where}.{key}", atol=atol)
    elif isinstance(stored, list) and isinstance(new, list) and len(stored) == len(new):
        for i, (old, now) in enumerate(zip(stored, new, strict=True)):
            yield from differences(old, now, f"{where}[{i}]", atol=atol)
    elif isinstance(stored, str) and isinstance(new, str):
        yield from _text_differences(stored, new, where, atol)
    elif type(stored) is not type(new) or stored != new:
        yield f"{where}: stored {stored!r:.80}, now {new!r:.80}"


def _number_differences(stored, new, where, atol):
    if stored.shape != new.shape:
        yield f"{where}: stored shape {stored.shape}, now {new.shape}"
        return
    agree = close(stored, new, atol)
    for index in itertools.islice(np.argwhere(~agree), 5):
        place = "".join(f"[{i}]" for i in index)
        yield f"{where}{place}: stored {stored[tuple(index)]!r}, now {new[tuple(index)]!r}"


def _text_differences(stored, new, where, atol):
    words, numbers = zip(
        *[(NUMBER.sub("#", text), NUMBER.findall(text)) for text in (stored, new)], strict=True
    )
    if "".join(words[0].split()) != "".join(words[1].split()):  # numpy pads columns with blanks
        yield f"{where}: stored {stored!r:.200}, now {new!r:.200}"
        return
    for old, now in zip(*numbers, strict=True):
        pair = [np.array(float(n) if set(n) & set(".eE") else int(n)) for n in (old, now)]
        if not close(*pair, atol):
            yield f"{where}: stored {old}, now {now}"


def without_alternatives(outputs):
    """Copy outputs without what stands for a figure elsewhere: its picture, and its words."""
    outputs = copy.deepcopy(outputs)
    for data in (output["data"] for output in outputs if "data" in output):
        if {PLOTLY, WIDGET} & data.keys():
            for key in {PICTURE, "text/plain"} & data.keys():
                del data[key]
        layout = data.get(PLOTLY, {}).get("layout", {})
        texts = [text for text in layout.pop("annotations", ()) if text.get("name") != SPOKEN]
        if texts:
            layout["annotations"] = texts
    return outputs


class TolerantCell(IPyNbCell):
    """A notebook cell whose new outputs agree with the stored ones up to a tolerance."""

    def compare_outputs(self, test, ref, skip_compare=None):
        """Put the stored value in the place of each new one that agrees, then let nbval compare."""
        tags = self.cell.metadata.get("tags", [])
        atol = max((float(tag[4:]) for tag in tags if tag.startswith("tol-")), default=0.0)
        test, ref = map(without_alternatives, (test, ref))
        found = []
        for number, (new, stored) in enumerate(zip(test, ref, strict=False)):
            new, stored = new.get("data", new), stored.get("data", stored)
            for key in new.keys() & stored.keys() & {PLOTLY, *TEXTS}:
                where = f"output {number}, {key}: "
                problems = list(differences(stored[key], new[key], where, atol=atol))
                found += problems
                if not problems:
                    new[key] = stored[key]
        if found:
            self.comparison_traceback = found[:20]
            return False
        return super().compare_outputs(test, ref, skip_compare)


class TolerantFile(IPyNbFile):
    """A notebook made of tolerant cells."""

    def collect(self):
        """Yield the cells."""
        for cell in super().collect():
            yield TolerantCell.from_parent(
                self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options
            )


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """Collect a notebook as a tolerant one wherever nbval would collect a strict one."""
    return [
        TolerantFile.from_parent(parent, path=file_path) if type(node) is IPyNbFile else node
        for node in (yield)
    ]
