"""Streams of tasks: what is learned, in which order. Embedded, offline, deterministic."""

from fmlora_kit.streams.digits import digits
from fmlora_kit.streams.glyphs import glyph_styles, glyphs
from fmlora_kit.streams.task import Stream, Task

__all__ = ["Stream", "Task", "digits", "glyph_styles", "glyphs"]
