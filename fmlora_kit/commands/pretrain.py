"""Train an embedded backbone again: ``fmlora pretrain glyph_vit`` or ``photo_vit``.

    fmlora pretrain glyph_vit --out build/backbones                      (make pretrain)
    fmlora pretrain photo_vit --images data/tiny-imagenet-200            (make pretrain-photos)

Each is called what `load_backbone` calls it. Writes OUT/NAME.safetensors and a card, OUT/NAME.json.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from fmlora_kit.commands.arguments import add_command, folder, make_parser, out_folder, whole

EXAMPLE = "fmlora pretrain glyph_vit --steps 5000 --out build/backbones"
PHOTO_EXAMPLE = "fmlora pretrain photo_vit --images data/tiny-imagenet-200 --out build/backbones"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write; return 0."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    photos = asked.name == "photo_vit"
    if photos and asked.early_steps >= asked.steps:
        parser.error(f"--early-steps must be below --steps {asked.steps}, got {asked.early_steps}")
    from fmlora_kit.backbones import pretrain, pretrain_photos  # torch, once the words are right
    from fmlora_kit.training.device import pick_device

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if photos:
        try:
            device = str(pick_device(asked.device))
        except ValueError as error:
            parser.error(f"--{error}")
        how = {"early_steps": asked.early_steps, "device": device}
        made = pretrain_photos.pretrain(asked.images, steps=asked.steps, seed=asked.seed, **how)
        made["model"].half()  # what is shipped
    else:
        made = pretrain.pretrain(steps=asked.steps, seed=asked.seed)
    pretrain.save(made["model"], made["card"], asked.out)
    return 0


def _parser():
    parser = make_parser("pretrain", "Train an embedded backbone again.", EXAMPLE)
    commands = parser.add_subparsers(dest="name", metavar="BACKBONE", required=True)
    glyph = "learn 500 printed symbols (about 20 minutes on 2 cores)"
    photo = "learn Tiny-ImageNet (hours on 2 cores; torch 2.9 or later)"
    glyphs = add_command(commands, "glyph_vit", glyph, EXAMPLE)
    photos = add_command(commands, "photo_vit", photo, PHOTO_EXAMPLE)
    add = photos.add_argument
    add("--images", type=folder, required=True, help="where Tiny-ImageNet lies, only read")
    add("--early-steps", type=whole(0), default=14000, help="of all, at 24 pixels; %(default)s")
    add("--device", default="auto", help="auto, cpu, mps, cuda or cuda:1; default: %(default)s")
    for each, steps in ((glyphs, 5000), (photos, 23000)):
        add = each.add_argument
        add("--steps", type=whole(1), default=steps, help="default: %(default)s")
        add("--seed", type=whole(0), default=0, help="default: %(default)s")
        add("--out", type=out_folder, default=Path("data"), help="default: %(default)s")
    return parser
