"""One run into a folder: ``fmlora train``, which is ``python -m fmlora_kit train``.

    fmlora train --method fmlora --stream glyphs --out runs/a
    fmlora train --stream cifar100-pycil-10 --data /my/images/cifar-100-python ...
    accelerate launch --num_processes 4 -m fmlora_kit train ...           one run on four GPUs
    torchrun --nproc_per_node 2 -m fmlora_kit train --device cpu ...      or in two processes

Several processes make the record of one, but for rounding (`training.parallel`). What was stopped
goes on at the same command, in as many processes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING

import timm
from tqdm.auto import tqdm

from fmlora_kit.backbones.load import EMBEDDED, load_backbone
from fmlora_kit.commands import arguments as kinds
from fmlora_kit.commands.arguments import Parser, attempt, check_keys, make_parser, suggest, whole
from fmlora_kit.methods import METHODS
from fmlora_kit.streams.catalogue import PRESETS, STREAMS
from fmlora_kit.training.device import pick_device
from fmlora_kit.training.job import Job, run_job
from fmlora_kit.training.loop import Budget
from fmlora_kit.training.parallel import import_accelerate

if TYPE_CHECKING:
    from accelerate import Accelerator

# What launchers call the number of processes: torch's, and those of MPI.
COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
EXAMPLE = "fmlora train --method fmlora --stream glyphs --epochs 4 --out build/runs/a"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    job = _job(parser, asked)
    accelerator = _accelerator(cpu=asked.device == "cpu")
    leads = accelerator is None or accelerator.is_main_process
    stream = attempt(parser, "--stream", job.make_stream)
    how = {"device": asked.device, "accelerator": accelerator, "stream": stream}
    run_job(job, tqdm.write, **how, show_progress=True)
    if leads:
        print(f"The record lies in {asked.out.resolve()}")
    if accelerator is not None:
        accelerator.end_training()
    return 0


def _parser() -> Parser:
    parser = make_parser("train", "One run of one method into a folder.", EXAMPLE)
    add, streams = parser.add_argument, (*STREAMS, *PRESETS)
    methods = f"one of {', '.join(METHODS)}; default: %(default)s"
    add("--method", choices=METHODS, default="fmlora", metavar="NAME", help=methods)
    text = f"a stream ({', '.join(STREAMS)}) or a protocol ({', '.join(PRESETS)})"
    add("--stream", choices=streams, default="glyphs", metavar="NAME", help=text)
    add("--data", type=kinds.folder, help="folder of the images, for streams of real images")
    add("--seed", type=whole(0), default=0, help="default: %(default)s")
    add("--epochs", type=whole(1), default=Budget.epochs, help="per task; default: %(default)s")
    add("--batch-size", type=whole(1), default=Budget.batch_size, help="default: %(default)s")
    add("--backbone", default="glyph_vit", help="an embedded or a timm ViT; default: %(default)s")
    add("--device", default="auto", help="auto, cpu, mps, cuda or cuda:1; default: %(default)s")
    add("--out", type=kinds.out_folder, required=True, help="folder of the record")
    for what, example in (("stream", '{"n_tasks": 5}'), ("method", '{"lr": 0.001}')):
        add(
            f"--{what}-options",
            type=kinds.json_object,
            default={},
            help=f"JSON, such as '{example}'",
        )
    return parser


def _job(parser: Parser, asked: argparse.Namespace) -> Job:
    """The run that is asked for; leaves the program if a name or a value of it is wrong."""
    attempt(parser, "--device", lambda: pick_device(asked.device))
    if asked.backbone not in EMBEDDED and not timm.is_model(asked.backbone):
        near = suggest(asked.backbone, [*EMBEDDED, *timm.list_models()])
        known = " or ".join(EMBEDDED)
        parser.error(f"--backbone must be {known} or a timm ViT, got {asked.backbone[:80]!r}{near}")
    reader = STREAMS[PRESETS[asked.stream].stream if asked.stream in PRESETS else asked.stream]
    check_keys(parser, "--stream-options", asked.stream_options, signature(reader).parameters)
    if "folder" not in signature(reader).parameters:
        if asked.data is not None:
            parser.error(f"--data must be left out with --stream {asked.stream}, got {asked.data}")
    elif asked.data is None and "folder" not in asked.stream_options:
        parser.error(f"--data must be the folder of the images of {asked.stream}, got none")
    left_out = ("self", "backbone", "n_classes", "seed", "options", "args", "kwargs")
    made_from = METHODS[asked.method].__mro__[:-1]
    options = dict.fromkeys(n for each in made_from for n in signature(each.__init__).parameters)
    known = [name for name in options if name not in left_out]
    check_keys(parser, "--method-options", asked.method_options, known)
    if asked.backbone in EMBEDDED:  # make the method once, for two classes, which is quick
        small = {"n_tasks": 2} if METHODS[asked.method].needs_n_tasks else {}
        small |= {"seed": asked.seed, **asked.method_options}
        make = partial(METHODS[asked.method], load_backbone(asked.backbone), 2, **small)
        attempt(parser, "--method-options", make)
    of_stream = ({"folder": str(asked.data)} if asked.data else {}) | asked.stream_options
    budget, method = Budget(asked.epochs, asked.batch_size), asked.method
    which = method, method, asked.seed, asked.out, asked.stream
    return Job(*which, of_stream, asked.method_options, budget, asked.backbone)


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
