"""What somebody may plant in a folder of images, and what is no picture to be taken."""

import io
import os
import socket
from functools import cache

from PIL import Image

from fmlora_kit.streams.images import MOST_PIXELS


@cache
def bomb():
    buffer, side = io.BytesIO(), int(MOST_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def picture(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, kind)
    return buffer.getvalue()


def bound(path):
    with socket.socket(socket.AF_UNIX) as end:
        here = os.getcwd()
        os.chdir(path.parent)  # the name of a socket must be short
        try:
            end.bind(path.name)
        finally:
            os.chdir(here)


PLANTED = {
    "a FIFO": os.mkfifo if hasattr(os, "mkfifo") else None,
    "a socket": bound,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "no bytes": lambda path: path.symlink_to("/dev/null"),
    "a loop": lambda path: path.symlink_to(path.name),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to its folder": lambda path: path.symlink_to("."),
    "a folder": lambda path: path.mkdir(),
    "a bomb": lambda path: path.write_bytes(bomb()),
    "a PPM": lambda path: path.write_bytes(picture("PPM")),
    "a GIF": lambda path: path.write_bytes(picture("GIF")),
    "half a PNG": lambda path: path.write_bytes(picture("PNG")[:40]),
    "a program": lambda path: path.write_bytes(b"#!/bin/sh\nexit\n"),
    "PostScript": lambda path: path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    ),
    "nothing": lambda path: path.write_bytes(b""),
}
