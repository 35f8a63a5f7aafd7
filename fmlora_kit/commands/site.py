"""Offline pages of the stored notebooks, and pictures of their figures: ``fmlora site``.

    fmlora site --out build/site                       (make site)
    fmlora site --gallery notebooks/gallery            (make gallery; needs a Chromium)
    fmlora site --pictures                             (part of make notebooks; needs one too)

No notebook is run and nothing is fetched. Both need the `dev` extra.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from fmlora_kit.commands.arguments import folder, make_parser, out_folder
from fmlora_kit.commands.lab import find_notebooks

ABOUT = "Offline pages of the notebooks as they are stored, and pictures of their tagged figures."


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what was asked for; return 0."""
    parser = make_parser("site", ABOUT, "fmlora site --out build/site")
    add = parser.add_argument
    add("--notebooks", type=folder, help="folder to read; default: that of the checkout")
    add("--out", type=out_folder, help="folder for the pages")
    add("--gallery", type=out_folder, help="folder for the pictures of tagged cells")
    about = "write a picture and a sentence beside each figure into the notebooks just run"
    add("--pictures", action="store_true", help=about)
    asked = parser.parse_args(arguments)
    if not (asked.out or asked.gallery or asked.pictures):
        parser.error("one of --out, --gallery and --pictures must be given, got none")
    read = asked.notebooks or find_notebooks()
    notebooks = sorted(read.glob("*.ipynb"))
    if asked.pictures:
        from fmlora_kit.commands.pages.browser import chromium
        from fmlora_kit.commands.pages.pictures import add_pictures

        run = [*notebooks, *sorted(read.glob("workshop/*.ipynb"))]
        with chromium() as browser:
            n = add_pictures(tqdm(run, desc="drawing", unit=" notebooks"), browser)
        print(f"{n} pictures in {len(run)} notebooks")
    from fmlora_kit.commands.pages.notebooks import build, draw_gallery, gallery_figures

    if asked.out:
        pages = build(tqdm(notebooks, desc="reading", unit=" notebooks"), asked.out)
        n = sum(len(page.figures) for page in pages)
        print(f"{len(pages)} notebooks with {n} figures: {asked.out / 'index.html'}")
    if asked.gallery:
        from fmlora_kit.commands.pages.browser import chromium

        figures = gallery_figures(notebooks)
        with chromium() as browser:
            print(*draw_gallery(figures, asked.gallery, browser), sep="\n")
    return 0
