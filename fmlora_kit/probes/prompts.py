"""What the meta-prompt does: the same model with another prompt in its place, or with none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit.analysis.prompts import PromptEffect, prompts_over_time
from fmlora_kit.probes.images import probe_images
from fmlora_kit.record import Record
from fmlora_kit.streams import Stream
from fmlora_kit.training import from_record

NO_PROMPT, RANDOM_START = "no prompt", "random start"


def swap_prompts(
    record: Record,
    stream: Stream,
    *,
    n_images: int | None = None,
    backbone: VisionTransformer | None = None,
) -> PromptEffect:
    """Accuracy of the model after the last task with each earlier prompt in the place of its own.

    Also with the prompt that training started from, and with no prompt tokens at all. Everything
    else, the head too, stays as it was after the last task.

    Args:
        record: of a method with a meta-prompt.
        stream: what it was trained on.
        n_images: test images per task, the same number of each class; None for all.
        backbone: see `fmlora_kit.from_record`.

    Raises:
        ValueError: the method has no prompt, the stream is another one, or a number out of range.
    """
    every = prompts_over_time(record)
    images = probe_images(record, stream, n_images)
    start = from_record(record, 0, backbone).prompt.detach().cpu().numpy()
    config = {**record.config, "method": {**record.config["method"], "dmp": None}}
    model = from_record(replace(record, config=config), backbone=backbone)
    model.merge()
    rows = [images.predict(model)]  # as if the method had no meta-prompt
    model = from_record(record, backbone=backbone)
    model.merge()
    for prompt in (start, *every):
        with torch.no_grad():
            model.prompt.copy_(torch.from_numpy(prompt.copy()))
        rows.append(images.predict(model))
    return PromptEffect(
        method=record.method,
        prompts=(NO_PROMPT, RANDOM_START, *record.task_names),
        own=len(rows) - 1,
        task_names=record.task_names,
        accuracy=np.stack([images.accuracy(predictions) for predictions in rows]),
        n_images=images.sizes,
    )
