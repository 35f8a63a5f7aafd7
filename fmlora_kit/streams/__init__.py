"""Streams of tasks: what is learned, in which order.

``glyphs``, ``glyph_styles`` and ``digits`` are embedded and need no file. The others read real
images from a folder of yours, in the benchmark's official layout, and never move or write anything:
``cifar100``, ``cub200``, ``dn4il``, ``domainnet``, ``imagenet_r``, ``pacs``; ``image_folder`` takes
any folder of images. `PRESETS` names published protocols, `preset` makes their streams.

Two functions write images, into a folder of their own: `sample_photos` a few photos to begin with,
`made_up` a tiny tree in the layout that a preset reads.
"""

from collections.abc import Callable

from fmlora_kit.streams.catalogue import PRESETS, Preset, preset
from fmlora_kit.streams.cifar100 import cifar100
from fmlora_kit.streams.colour_baseline import accuracy_by_colour
from fmlora_kit.streams.cub200 import cub200
from fmlora_kit.streams.digits import digits
from fmlora_kit.streams.domainnet import dn4il, domainnet
from fmlora_kit.streams.glyphs import glyph_styles, glyphs
from fmlora_kit.streams.image_folder import image_folder
from fmlora_kit.streams.imagenet_r import imagenet_r
from fmlora_kit.streams.pacs import pacs
from fmlora_kit.streams.size import N_IMAGES, decoded_gigabytes, expected_hours
from fmlora_kit.streams.synthetic import made_up, sample_photos
from fmlora_kit.streams.task import Stream, Task

STREAMS: dict[str, Callable[..., Stream]] = {
    "glyphs": glyphs,
    "glyph_styles": glyph_styles,
    "digits": digits,
    "pacs": pacs,
    "cub200": cub200,
    "cifar100": cifar100,
    "imagenet_r": imagenet_r,
    "domainnet": domainnet,
    "dn4il": dn4il,
    "image_folder": image_folder,
}

__all__ = [
    "N_IMAGES",
    "PRESETS",
    "STREAMS",
    "Preset",
    "Stream",
    "Task",
    "accuracy_by_colour",
    "cifar100",
    "cub200",
    "decoded_gigabytes",
    "digits",
    "dn4il",
    "domainnet",
    "expected_hours",
    "glyph_styles",
    "glyphs",
    "image_folder",
    "imagenet_r",
    "made_up",
    "pacs",
    "preset",
    "sample_photos",
]
