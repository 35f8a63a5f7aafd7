"""Short lessons: the records that the dashboards show, trained in seconds instead of minutes.

What a dashboard shows is compared with the record it was made from, so a record of few tasks and
images is as good as any. The kernel of a notebook runs `shorten()` before its first cell, and the
process of the test does the same.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import fmlora_kit as fk
from fmlora_kit.training import lessons

TASKS = 4
IMAGES = {"n_train": 6, "n_test": 7}  # of each class
BUDGET = fk.Budget(epochs=1)
HERE = Path("records")  # beside the notebook that runs: nobody's own records are touched


def shorten(put=setattr):
    """Let `lessons` give small streams and train for one epoch; ``put`` may be a monkeypatch's."""
    put(lessons, "BUDGET", BUDGET)
    put(lessons, "FOLDER", HERE)
    put(lessons, "record", partial(lessons.record, folder=HERE))
    put(lessons, "streams", _FewImages)
    for name in ("stream", "domain_stream"):
        put(lessons, name, _few_tasks(getattr(lessons, name)))


class _FewImages:
    @staticmethod
    def glyphs(*values, **named):
        return fk.streams.glyphs(*values, **named | IMAGES)

    @staticmethod
    def glyph_styles(*values, **named):
        return fk.streams.glyph_styles(*values, **named | IMAGES)


def _few_tasks(make):
    def few(*values, **named):
        whole = make(*values, **named)
        return replace(whole, tasks=whole.tasks[:TASKS])

    return few
