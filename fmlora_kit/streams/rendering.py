"""Characters drawn from the DejaVu fonts as small RGB pictures, the same everywhere.

A picture is made in two steps. `draw` poses a character (rotation, scale, shear, shift) as a 32 x
32 mask of ink between 0 and 1; a *style* turns that mask into colours. Pre-training only ever sees
the style ``print``; the streams use the others, so that adapting to them is worth something.

Everything is Pillow's and numpy's scalar arithmetic, rounded to bytes: no threads, no BLAS, no
hardware-dependent kernels. A checksum in the tests guards it.

`SCRIPTS` has ten characters a writing system, chosen so that no two of them, in any task, look the
same (Latin A is not asked for again as Greek or Cyrillic). The symbols that the backbone was
pre-trained on are disjoint from all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

IMAGE_SIZE = 32
_MASK_SIZE = 64  # characters are drawn at twice the size and posed down
FACES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")

Style = Callable[[Image.Image, np.random.Generator], np.ndarray]


@lru_cache(maxsize=4)
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / face
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def character_mask(character: str, face: str = FACES[0], barred: bool = False) -> Image.Image:
    """The character's ink, centred and scaled to fill a 64 x 64 grey picture ("L").

    With ``barred`` a bar is drawn beneath it: the sign that tells a near-duplicate class from the
    character it repeats.
    """
    font = _font(face, 96)
    left, top, right, bottom = font.getbbox(character)
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        raise ValueError(f"character must leave ink in {face}, got {character!r}")
    ink = Image.new("L", (width, height), 0)
    ImageDraw.Draw(ink).text((-left, -top), character, fill=255, font=font)
    zoom = min(46 / width, (34 if barred else 46) / height)
    ink = ink.resize((max(1, round(width * zoom)), max(1, round(height * zoom))), Image.BOX)
    canvas = Image.new("L", (_MASK_SIZE, _MASK_SIZE), 0)
    middle = 26 if barred else 32
    canvas.paste(ink, ((_MASK_SIZE - ink.width) // 2, middle - ink.height // 2))
    if barred:
        ImageDraw.Draw(canvas).rectangle((11, 48, 52, 52), fill=255)
    return canvas


def draw(
    character: str, rng: np.random.Generator, *, face: str | None = None, barred: bool = False
) -> Image.Image:
    """One randomly posed mask of ``character``: a 32 x 32 grey picture ("L"), ink 255 on 0."""
    face = face or FACES[rng.integers(len(FACES))]
    mask = character_mask(character, face, barred)
    angle, shear = np.radians(rng.uniform(-14, 14)), rng.uniform(-0.2, 0.2)
    zoom_x, zoom_y = rng.uniform(0.8, 1.15, size=2)
    shift_x, shift_y = rng.uniform(-2.5, 2.5, size=2)
    cos, sin = np.cos(angle), np.sin(angle)
    step = _MASK_SIZE / IMAGE_SIZE
    # Pillow wants the map from the output pixel back to the input pixel.
    a, b = step * cos / zoom_x, step * (sin + shear) / zoom_x
    d, e = -step * sin / zoom_y, step * cos / zoom_y
    centre, middle = _MASK_SIZE / 2, IMAGE_SIZE / 2
    c = centre - a * (middle + shift_x) - b * (middle + shift_y)
    f = centre - d * (middle + shift_x) - e * (middle + shift_y)
    soft = mask.filter(ImageFilter.BoxBlur(0.5))  # half the sampling step: no aliasing
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return soft.transform(size, Image.AFFINE, (a, b, c, d, e, f), Image.BILINEAR)


def render(character: str, style: str, rng: np.random.Generator, **how: object) -> np.ndarray:
    """One picture of ``character`` in ``style``, one of `STYLES`: uint8, (32, 32, 3)."""
    if style not in STYLES:
        raise ValueError(f"style must be one of {sorted(STYLES)}, got {style!r}")
    picture = STYLES[style](draw(character, rng, **how), rng)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


# --- styles: mask -> colours ---------------------------------------------------------------------
def _ink(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask, dtype=np.float64)[..., None] / 255


def _blend(ink: np.ndarray, paper: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return ink * colour + (1 - ink) * paper


def _colour(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    return rng.uniform(low, high, size=3)


def _noise(rng: np.random.Generator, spread: float) -> np.ndarray:
    return rng.normal(0, spread, size=(IMAGE_SIZE, IMAGE_SIZE, 1))


def _edge(mask: Image.Image) -> Image.Image:
    return ImageChops.difference(mask.filter(ImageFilter.MaxFilter(3)), mask)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    return rows[..., None].astype(float), columns[..., None].astype(float)


def print_light(mask, rng):
    """Light ink on dark paper: the only style pre-training sees."""
    return _blend(_ink(mask), _colour(rng, 0, 70), _colour(rng, 170, 255)) + _noise(rng, 4)


def inverted(mask, rng):
    """Dark ink on light paper."""
    return _blend(_ink(mask), _colour(rng, 185, 255), _colour(rng, 0, 80)) + _noise(rng, 4)


def outline(mask, rng):
    """Only the contour of the character."""
    return _blend(_ink(_edge(mask)), _colour(rng, 0, 60), _colour(rng, 170, 255)) + _noise(rng, 4)


def sketch(mask, rng):
    """Dark pencil contour on paper, with hatching inside."""
    rows, columns = _grid()
    hatch = ((rows + columns + rng.integers(4)) % 4 < 1.5) * 0.75
    ink = np.maximum(_ink(_edge(mask)), _ink(mask) * hatch)
    return _blend(ink, _colour(rng, 205, 250), _colour(rng, 20, 90)) + _noise(rng, 10)


def neon(mask, rng):
    """A bright contour with a coloured glow in the dark."""
    colour = _colour(rng, 40, 255)
    glow = _ink(mask.filter(ImageFilter.BoxBlur(3)))
    return 255 * _ink(_edge(mask)) * 0.8 + glow * colour + rng.uniform(0, 30)


def scan(mask, rng):
    """A bad photocopy: grey, speckled with black and white."""
    picture = _blend(_ink(mask), np.full(3, rng.uniform(150, 220)), np.full(3, rng.uniform(30, 90)))
    speck = rng.random((IMAGE_SIZE, IMAGE_SIZE, 1))
    return np.where(speck < 0.08, 10.0, np.where(speck > 0.92, 245.0, picture)) + _noise(rng, 12)


def stripes(mask, rng):
    """Ink in one colour over striped paper in two others."""
    rows, columns = _grid()
    wide = rng.integers(3, 6)
    along = rows if rng.random() < 0.5 else columns
    bars = ((along + rng.integers(wide)) // wide) % 2
    paper = _blend(bars, _colour(rng, 60, 140), _colour(rng, 120, 200))
    ink_colour = _colour(rng, 225, 255) if rng.random() < 0.5 else _colour(rng, 0, 30)
    return _blend(_ink(mask), paper, ink_colour) + _noise(rng, 4)


def gradient(mask, rng):
    """Paper that runs from dark to light under ink of one middle colour."""
    rows, columns = _grid()
    turn = rng.uniform(0, 2 * np.pi)
    run = (np.cos(turn) * (columns - 15.5) + np.sin(turn) * (rows - 15.5)) / 44 + 0.5
    paper = _blend(run, _colour(rng, 0, 60), _colour(rng, 190, 255))
    hue = np.roll(np.array([235.0, 70.0, 20.0]), rng.integers(3))
    return _blend(_ink(mask), paper, hue) + _noise(rng, 4)


def relief(mask, rng):
    """Embossed: lit from one corner, no colour difference between ink and paper."""
    ink = _ink(mask)
    light = ink - np.roll(ink, (1, 1), axis=(0, 1))
    return _colour(rng, 100, 160) + 110 * light + _noise(rng, 4)


def mosaic(mask, rng):
    """Coarse tiles of uneven brightness, dark ink."""
    small = mask.resize((16, 16), Image.BOX).resize((IMAGE_SIZE, IMAGE_SIZE), Image.NEAREST)
    tiles = rng.normal(0, 22, size=(16, 16, 3)).repeat(2, axis=0).repeat(2, axis=1)
    return _blend(_ink(small), _colour(rng, 170, 230), _colour(rng, 10, 80)) + tiles


_UNSEEN = (inverted, outline, sketch, neon, scan, stripes, gradient, relief, mosaic)
STYLES: dict[str, Style] = {"print": print_light} | {style.__name__: style for style in _UNSEEN}


SCRIPTS: dict[str, str] = {
    "Latin": "AKMSWPTUVZ",
    "Greek": "ΓΔΠαγζλμψω",
    "Cyrillic": "БЖИЛЦЩЪЫЮУ",
    "Armenian": "ԱԲԻԽՀՂՃՅՊՒ",
    "Georgian": "ათილპრქღყჯ",
    "Hebrew": "אדזטלנעקרש",
    "Arabic": "بثزشصطغكمن",
    "Tifinagh": "ⴰⴼⵃⵄⵉⵖⵘⵚⵣⵤ",
    "N'Ko": "ߊߍߎߑߒߓߕߘߟߣ",
    "Canadian syllabics": "ᐂᐔᐙᐦᐭᐳᐸᐻᑃᑏ",
    "Lao": "ກຂງຈຊປຜຝຫຮ",
    "Lisu": "ꓒꓕꓘꓙꓛꓡꓧꓩꓫꓳ",
    "Ogham": "ᚁᚆᚇᚈᚋᚌᚏᚑᚗᚚ",
    "Old Italic": "𐌁𐌂𐌆𐌌𐌐𐌑𐌕𐌞𐌡𐌣",
    "Coptic": "ϢϣϤϦϧϨϪϬϭϮ",
    "Digits": "0123456789",
    "Georgian capitals": "ႠႢႨႩႪႰႲႴჃჅ",
    "Inuktitut syllabics": "ᔀᔁᔒᔙᔢᔣᔥᔳᔴᔷ",
    "Armenian lower case": "ադէժլյշսվև",
    "Latin lower case": "abdfgkmrtj",
    "Cyrillic extended": "ҊҫҮҶӡӮԊԍԏԔ",
    "Arabic digits": "٠٢٤٦٨۶߄߅߆߉",
    "Phonetic letters": "ɐɝɩʇʍʎʛʞʣʮ",
    "Roman numerals": "ⅡⅥⅨⅪⅫⅭⅲⅶⅸↀ",
    "Double-struck": "𝔸𝔽𝕄𝕍𝕏𝕣ℎℑℚℛ",
    "Currency": "₠₢₤₧₪₫₯₰₵₸",
    "Letterlike": "ℂℌℐÅℱℲℳℸℹℽ",
    "Cree syllabics": "ᑐᑩᑮᒶᓇᓛᓴᓷᓼᓽ",
    "Carrier syllabics": "ᖀᖋᖑᖕᖠᖣᖥᖧᖩᖫ",
    "Vietnamese": "ẠẤẸẾỚụỦỰỴỹ",
    "Arabic extended": "ٴٻٽڕڞڠکڪڸۈ",
    "African Latin": "ƁƓƔƊƜƤƣƦƮƾ",
    "Greek accents": "ἀἈἊἮἸὌὙὠᾳῈ",
    "Old Cyrillic": "ѠѣѤѦѨѷҀꙄꙐꙣ",
    "Superscripts": "⁰⁷ᴭᵙₒₓₕₖₛᵋ",
    "Latin accents": "ÆüĄĳĶĸŉŗŴŹ",
    "Latin extended C": "ⱡⱪⱱⱲⱿꜶꝆꞂꞍꟹ",
    "Phonetic extensions": "ᴂᴒᴗᴚᴦᵚᵥᵦᵪᵻ",
    "Arabic ligatures": "ﭓﭔﭟﭡﮌﯤﺽﻂﻚﻹ",
    "Punctuation": "&@#%?§¶{}*",
}

PRETRAINING_SYMBOLS = (
    "\"'.;\\~¤¬°±·҂՚՛՜՝՞׳؆؊،؛؟٪٭߹‖‗‡•‥‱″‴‶‷※‼⁁⁃⁄⁊⁋⁌⁍⁐⁑⁓⁖⁗"
    "⁘⁚⁛⁝⁺₡₦₨€₲₹₺℃℅℉℔№℞℠℡™℥℻⅀←→↓↖↗↘↙↜↝↥↮↯↴↷↸↹↻↽⇄⇆⇋⇍⇏⇓⇖⇗"
    "⇘⇚⇦⇫⇱⇲⇳⇵⇶⇿∂∃∅∊∌∎∖∘∝∞∡∫∬∵∷∹∺≀≁≄≅≇≐≗≙≡≣≤≥≦≨≪≬≲≶≸≼⊃⊄⊅"
    "⊋⊏⊑⊓⊦⊧⊨⊩⊯⊲⊳⊶⊸⊽⊾⋆⋋⋒⋓⋔⋕⋘⋙⋚⋛⋝⋡⋢⋤⋬⋭⋮⋯⋰⋷⋺⋽⌁⌃⌄⌅⌇⌌⌍⌐⌑⌙⌜⌝⌞"
    "⌥⌦⌨⌬⎇⎜⎝⎞⎟⎠⎨⎩⎫⏏⏨␣─┊└┗┘┷╇═╗╙╚╛╝╲╶╸▀▁▄▊▍▏▐░▒▓▗▘▞□▣▬▭▯"
    "▲△▷▼◃◇◈◌◍◐◑◒◓◜◞◟◠◡◢◣◦◩◪◯◴◹◽◿☂☄☈☉☋☌☍☏☓☕☖☘☙☚☛☝☤☦☧☩☫☬"
    "☯☸☾☿♁♂♄♅♆♇♈♊♋♌♎♏♑♕♗♘♙♠♡♨♩♬♭♮♯♳♽♾⚁⚊⚌⚐⚑⚒⚓⚗⚙⚚⚜⚠⚣⚥⚦⚧⚪⚬"
    "⚮⚰⛀⛁✄✆✈✌✍✎✒✗✞✡✥✩✪✫✰✽✿❐❝❡❢❦❧➘➝➤➩➫➬➭➮➱➳➴➶⟰⟱⟴⟵⟶⠂⠆⠈⠉⠊⠌"
    "⠑⠔⠘⠞⠠⠡⠢⠫⠮⠳⠶⠺⡂⡈⡍⡎⡐⡓⡕⡖⡙⡜⡠⡣⡥⡩⡪⡱⡲⡴⡸⡿⢀⢁⢂⢄⢇⢈⢋⢍⢐⢖⢚⢜⢥⢦⢩⢬⢲⢸"
    "⣀⣆⣉⣊⣌⣒⣡⣢⣤⥀⧐⨀⩫⩽⪁⪂⪃⪉⪑⪔⪕⪖⪙⪚⪟⪠⪮⪯⪰⪷⪸⬇⬎⬑⬔⬕⬠⭔䷁𝌁𝌄𝌇🀱🁤🐭🐮🐱😇😴😹"
)
