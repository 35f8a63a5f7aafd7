"""Streams of tasks: what is learned, in which order.

``glyphs``, ``glyph_styles`` and ``digits`` are embedded and need no file. The others read real
images from a folder of yours, in the benchmark's official layout, and never move or write anything:
``cifar100``, ``cub200``, ``dn4il``, ``domainnet``, ``imagenet_r``, ``pacs``; ``image_folder`` takes
any folder of images, and ``from_dataset`` any data set of torch, torchvision or Hugging Face.
`preset` makes the stream of a published protocol.

In their modules: `glyphs.moving_styles`, embedded too; `catalogue` lists all streams, data sets and
protocols, and says what a run takes; `synthetic` writes small folders of images to begin with;
`colour_baseline` says how far average colour alone goes.
"""

from fmlora_kit.streams.catalogue import preset
from fmlora_kit.streams.cifar100 import cifar100
from fmlora_kit.streams.cub200 import cub200
from fmlora_kit.streams.digits import digits
from fmlora_kit.streams.domainnet import dn4il, domainnet
from fmlora_kit.streams.from_dataset import from_dataset
from fmlora_kit.streams.glyphs import glyph_styles, glyphs
from fmlora_kit.streams.image_folder import image_folder
from fmlora_kit.streams.imagenet_r import imagenet_r
from fmlora_kit.streams.pacs import pacs
from fmlora_kit.streams.task import Stream, Task

__all__ = [
    "Stream",
    "Task",
    "cifar100",
    "cub200",
    "digits",
    "dn4il",
    "domainnet",
    "from_dataset",
    "glyph_styles",
    "glyphs",
    "image_folder",
    "imagenet_r",
    "pacs",
    "preset",
]
