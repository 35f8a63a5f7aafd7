"""Streams of tasks: what is learned, in which order.

``glyphs``, ``glyph_styles`` and ``digits`` are embedded and need no file. ``pacs``, ``cub200`` and
``cifar100`` read real images from a folder of yours, in the benchmark's official layout.
"""

from collections.abc import Callable

from fmlora_kit.streams.cifar100 import cifar100
from fmlora_kit.streams.cub200 import cub200
from fmlora_kit.streams.digits import digits
from fmlora_kit.streams.glyphs import glyph_styles, glyphs
from fmlora_kit.streams.pacs import pacs
from fmlora_kit.streams.task import Stream, Task

STREAMS: dict[str, Callable[..., Stream]] = {
    "glyphs": glyphs,
    "glyph_styles": glyph_styles,
    "digits": digits,
    "pacs": pacs,
    "cub200": cub200,
    "cifar100": cifar100,
}

__all__ = [
    "STREAMS",
    "Stream",
    "Task",
    "cifar100",
    "cub200",
    "digits",
    "glyph_styles",
    "glyphs",
    "pacs",
]
