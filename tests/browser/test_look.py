"""A stored notebook in JupyterLab, not run: as wide as its cell, and legible in both themes."""

import json

import pytest

WIDTHS = """() => [...document.querySelectorAll(".jp-RenderedPlotly")]
    .map(place => [place.offsetWidth, place.querySelector(".main-svg")?.clientWidth])"""
FITS = "n => { const found = (%s)(); return found.length === n && %s; }"
# Each text of HTML outputs with its colour and what lies beneath it, [red, green, blue] to 255.
TEXTS = """() => {
    const parse = text => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return text.startsWith("color(") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
    };
    const over = ([r, g, b, a], below) => [r, g, b].map((c, k) => a * c + (1 - a) * below[k]);
    const ground = element => {
        if (!element) return [255, 255, 255];
        const own = parse(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
    };
    const outputs = [...document.querySelectorAll(".jp-OutputArea-output.jp-RenderedHTML *")];
    return outputs.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .map(e => ({ words: e.textContent.trim().slice(0, 40), ground: ground(e),
                     ink: over(parse(getComputedStyle(e).color), ground(e)) }));
}"""
# Every colour of a text or a ground in the figures.
DRAWN = """() => [...new Set([...document.querySelectorAll(".jp-RenderedPlotly .main-svg")].flatMap(
    svg => [svg.style.background, ...[...svg.querySelectorAll("text")]
        .map(text => getComputedStyle(text).fill)]))].filter(Boolean).sort()"""


def contrast(color, other):
    """Contrast of WCAG 2, from 1 to 21, of two colours to 255."""
    low, high = sorted(map(luminance, (color, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color):
    parts = [part / 255 for part in color]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def opened(open_notebook, name):
    """The notebook's page with its figures drawn, and how many they are."""
    page = open_notebook(name).page
    drawn = "found.length > 0 && found.every(([place, figure]) => figure > 0)"
    page.wait_for_function(f"() => {{ const found = ({WIDTHS})(); return {drawn}; }}")
    return page, len(page.evaluate(WIDTHS))


def test_figures_are_as_wide_as_their_cell_whatever_is_opened_or_zoomed(open_notebook):
    page, n = opened(open_notebook, "02_task_similarity.ipynb")
    seen = []
    for change in (
        lambda: None,
        lambda: page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')"),
        lambda: page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')"),
        lambda: page.set_viewport_size({"width": 683, "height": 384}),  # a laptop's at 200 %
    ):
        before = seen[-1] if seen else 0
        change()
        fit = f"found[0][0] !== {before} && found.every(([place, figure]) => place === figure)"
        page.wait_for_function(FITS % (WIDTHS, fit), arg=n)
        seen.append(page.evaluate(WIDTHS)[0][0])
    wide, beside, again, zoomed = seen
    assert zoomed < beside < wide == again


@pytest.mark.parametrize("name", ["12_competitors.ipynb", "16_paper_scale.ipynb"])
def test_the_dark_theme_leaves_figures_and_tables_legible(open_notebook, name):
    page, _ = opened(open_notebook, name)
    grounds, figures = [], []
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        asked = json.dumps({"theme": theme})
        page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {asked})")
        dark = str(theme.endswith("Dark")).lower()
        light = 'document.body.dataset.jpThemeLight === "true"'
        page.wait_for_function(f"() => ({light}) !== {dark}")
        page.wait_for_timeout(500)  # its style sheet
        texts = page.evaluate(TEXTS)
        faint = [t for t in texts if contrast(t["ink"], t["ground"]) < 4.5]
        assert len(texts) > 20 and not faint, (theme, faint[:5])
        grounds.append(luminance(texts[0]["ground"]))
        figures.append(page.evaluate(DRAWN))
    assert grounds[0] > 0.8 and grounds[1] < 0.1
    assert figures[0] == figures[1]  # a white card in both: no colour is the theme's
    assert "white" in figures[0] and "rgb(34, 34, 34)" in figures[0]
