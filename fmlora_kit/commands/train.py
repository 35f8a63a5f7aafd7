"""One run into a folder: ``python -m fmlora_kit train``.

    python -m fmlora_kit train --method fmlora --stream glyphs --out runs/a
    python -m fmlora_kit train --stream cifar100-pycil-10 --data /my/images/cifar-100-python ...
    accelerate launch --num_processes 4 -m fmlora_kit train ...           one run on four GPUs
    torchrun --nproc_per_node 2 -m fmlora_kit train --device cpu ...      or in two processes

Several processes make the record of one, but for rounding (`training.parallel`). What was stopped
goes on at the same command, in as many processes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fmlora_kit.methods import METHODS
from fmlora_kit.record import RecordError
from fmlora_kit.streams.catalogue import PRESETS, STREAMS
from fmlora_kit.training.job import Job, run_job
from fmlora_kit.training.loop import Budget, TrainingError
from fmlora_kit.training.parallel import import_accelerate

if TYPE_CHECKING:
    from accelerate import Accelerator

# What launchers call the number of processes: torch's, and those of MPI.
COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0, or 1 if it failed, which is then said."""
    asked = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        accelerator = _accelerator(cpu=asked.device == "cpu")
        run_job(asked.job, print, device=asked.device, accelerator=accelerator)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 1
    except (RecordError, TrainingError, ValueError, OSError, ImportError) as error:
        print(f"\nThe run could not be finished: {error}", file=sys.stderr)
        return 1
    if accelerator is None or accelerator.is_main_process:
        print(f"The record lies in {asked.out.resolve()}")
    if accelerator is not None:
        accelerator.end_training()
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fmlora_kit train", description=(__doc__ or "").split("\n\n")[0]
    )
    add = parser.add_argument
    add("--method", default="fmlora", help=f"one of {', '.join(METHODS)}; default: %(default)s")
    add(
        "--stream",
        default="glyphs",
        help=f"a stream ({', '.join(STREAMS)}) or a published protocol ({', '.join(PRESETS)}); "
        "default: %(default)s",
    )
    add("--data", type=Path, help="folder of the images, for streams of real images")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--epochs", type=int, default=Budget.epochs, help="per task; default: %(default)s")
    add("--batch-size", type=int, default=Budget.batch_size, help="default: %(default)s")
    add("--backbone", default="glyph_vit", help="an embedded or a timm ViT; default: %(default)s")
    add("--device", default="auto", help="auto, cpu, mps, cuda or cuda:1; default: %(default)s")
    add("--out", type=Path, required=True, help="folder of the record")
    for what, example in (("stream", '{"n_tasks": 5}'), ("method", '{"lr": 0.001}')):
        add(f"--{what}-options", type=_options, default={}, help=f"as JSON, such as '{example}'")
    asked = parser.parse_args(arguments)
    where = {} if asked.data is None else {"folder": str(asked.data)}
    try:
        asked.job = Job(
            asked.method,
            asked.method,
            asked.seed,
            asked.out,
            asked.stream,
            {**where, **asked.stream_options},
            asked.method_options,
            Budget(asked.epochs, asked.batch_size),
            asked.backbone,
        )
    except ValueError as error:
        parser.error(f"--{error}")
    return asked


def _options(text: str) -> dict:
    options = json.loads(text)
    if not isinstance(options, dict):
        raise ValueError(text)
    return options


def _accelerator(cpu: bool) -> Accelerator | None:
    """This process's, if a launcher began several that are to learn together."""
    if any(int(os.environ.get(count, 1)) > 1 for count in COUNTS):
        return import_accelerate().Accelerator(cpu=cpu)
    if "ACCELERATE_USE_CPU" in os.environ and "MASTER_PORT" in os.environ:
        raise ValueError(
            "accelerate launch --cpu begins one process, whatever --num_processes says; use "
            "torchrun --nproc_per_node N -m fmlora_kit train --device cpu"
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
