"""Do two tasks share a subspace? A map over task pairs, against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import index_of
from fmlora_kit.analysis.names import run_name
from fmlora_kit.analysis.subspaces import ENERGY, SIDES, PairTable, pair_table
from fmlora_kit.figures.curves import Records, by_label
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.maps import add_map, color_bar, name_axes
from fmlora_kit.figures.style import GAIN_SCALE, grid, short
from fmlora_kit.record import Record

SIDE_NAMES = {"output": "what updates write (output)", "input": "what updates look at (input)"}
WITHIN_NAMES = {
    "space": "drawn at random from the whole space",
    "core": "drawn at random from the shared core",
    "open": "drawn at random from where the method left it room",
}


@dataclass(frozen=True)
class _Measure:
    """A number per task pair: its name in `PairTable`, how it is written, which way is closer."""

    name: str
    title: str
    digits: int
    sign: str
    unit: str
    least_range: float
    closer: int
    meaning: str

    def write(self, value: float, spread: float | None = None) -> str:
        """The number with its unit's sign, and with the range of 95 % of random draws."""
        more = "" if spread is None else f"±{2 * spread:.{self.digits}f}"
        return f"{value:.{self.digits}f}{more}{self.sign}"


_DEGREES = "0°: one space holds the other, 90°: nothing in common."
_ANGLE = _Measure("angle", "mean principal angle", 0, "°", "degrees", 15.0, -1, _DEGREES)
_HOLDS = "0: one space holds the other."
_GRASSMANN = _Measure("grassmann", "Grassmann distance", 2, "", "radians", 0.5, -1, _HOLDS)
_COSINES = "1: one space holds the other, 0: nothing in common."
_OVERLAP = _Measure("overlap", "overlap (mean cos²)", 2, "", "overlap", 0.25, 1, _COSINES)
_MEASURES = {one.name: one for one in (_ANGLE, _GRASSMANN, _OVERLAP)}

_PAIRS = 1_500  # of tasks, times layers: they take a second or two


@draws()
def subspace_map(
    records: Records,
    measure: str = "angle",
    *,
    layer: int | str | None = None,
    energy: float = ENERGY,
    within: str = "open",
) -> go.Figure:
    """Map over task pairs: how much of a subspace their updates share, coloured against chance.

    Left what the updates write (column spaces), right what they look at (row spaces); a row of maps
    for each record. Blue pairs share more than chance, orange ones less, white ones hardly differ.

    The measures, of the principal angles between two updates:

    - "angle": their mean;
    - "grassmann": the Grassmann distance, the root of the sum of their squares. It grows with the
      number of angles, so compare it with the chance level beneath, not across pairs of other
      ranks;
    - "overlap": the mean of their cos^2, 1 if one space holds the other. Chance is exact here.

    Of runs with low-rank updates and two tasks; without a layer the mean over all. `energy` is the
    share of an update's energy that the compared directions hold; chance draws from `within`:
    "open", "core" or "space" (`WITHIN_NAMES`).
    """
    chosen = _MEASURES[checks.choice("measure", measure, _MEASURES)]
    checks.choice("within", within, WITHIN_NAMES)
    table = one_each(records, least=2)
    for record in table.values():
        pairs = len(record.tasks) * (len(record.tasks) - 1) // 2
        n = pairs * (len(record.layers) if layer is None else 1)
        if n > _PAIRS:
            rule = f"of at most {_PAIRS} pairs of updates to be drawn here (layer= draws one map's)"
            raise checks.fail("record", rule, n)
    height = sum(35 * len(record.tasks) + 75 for record in table.values())
    figure = grid(
        *_words(table, chosen, layer, within),
        rows=len(table),
        cols=2,
        panels=side_titles(table),
        spacing=(0.03, 0.22 / len(table)),
        sharing="y",
        height=max(430, 160 + height),
        margin={"t": 125},
        plot_bgcolor="#efefef",  # so that white cells are seen
    )
    widest = chosen.least_range
    for row, record in enumerate(table.values(), start=1):
        for col, side in enumerate(SIDES, start=1):
            found = pair_table(record, side, energy, within, layer)
            where = {"row": row, "col": col}
            widest = max(widest, _add_map(figure, record, found, chosen, layer, **where))
        figure.update_yaxes(title_text="later task", row=row, col=1)
    figure.update_xaxes(title_text="earlier task", row=len(table))
    bar = color_bar(f"closer than chance by ({chosen.unit})")
    limits = {"cmin": -widest, "cmax": widest}
    figure.update_layout(coloraxis={"colorscale": GAIN_SCALE, **limits, "colorbar": bar})
    return figure


def one_each(records: Records, *, least: int = 1) -> dict[str, Record]:
    """One record by label, with ``least`` finished tasks; ValueError if one has several seeds."""
    table = by_label(records, least=least, per_label=1)
    return {label: runs[0] for label, runs in table.items()}


def side_titles(table: dict[str, Record]) -> list[str]:
    """Titles of the panels of a figure with a row per record and a column per side."""
    names = [f"{label}: " for label in table] if len(table) > 1 else [""]
    return [name + SIDE_NAMES[side] for name in names for side in SIDES]


def per_layer(values: np.ndarray, record: Record, layer: int | str | None) -> np.ndarray:
    """One layer of (L, ...) values, or with None their mean over layers (NaN left out)."""
    if layer is not None:
        return values[index_of(layer, record.layers, "layer")]
    return mean_of_known(values, axis=0)


def mean_of_known(values: np.ndarray, *, axis: int) -> np.ndarray:
    """Mean over an axis, NaN left out, without a warning where nothing is known."""
    known = np.isfinite(values)
    total, n = np.where(known, values, 0).sum(axis=axis), known.sum(axis=axis)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def spread_of_mean(spread: np.ndarray, record: Record, layer: int | str | None) -> np.ndarray:
    """Standard deviation at one layer of (L, ...), or with None that of the mean over layers."""
    if layer is not None:
        return per_layer(spread, record, layer)
    counted = np.maximum(np.isfinite(spread).sum(axis=0), 1)
    return np.sqrt(per_layer(spread**2, record, None) / counted)


def _add_map(figure, record: Record, found: PairTable, measure: _Measure, layer, **where) -> float:
    """Add one heat map (rows: later task, columns: earlier) and return its largest difference."""
    earlier = np.tri(len(record.tasks), k=-1, dtype=bool)
    value, chance, spread = (
        np.where(earlier, reduce(getattr(found, name), record, layer), np.nan)[1:, :-1]
        for name, reduce in (
            (measure.name, per_layer),
            (f"{measure.name}_chance", per_layer),
            (f"{measure.name}_spread", spread_of_mean),
        )
    )
    difference = measure.closer * (value - chance)
    names, crowded = record.task_names, _crowded(record)
    texts, hover = np.full((2, *value.shape), "", dtype=object)
    for t, i in np.ndindex(value.shape):
        number, level = measure.write(value[t, i]), measure.write(chance[t, i], spread[t, i])
        small = "" if crowded else f"<br><span style='font-size:10px'>({level})</span>"
        texts[t, i] = "" if np.isnan(value[t, i]) else f"<b>{number}</b>{small}"
        pair = f"<b>{names[i]}</b> and <b>{names[t + 1]}</b>"
        hover[t, i] = f"{pair}<br>{measure.title} {number}<br>by chance {level}"
    add_map(
        figure,
        difference,
        coloraxis="coloraxis",
        text=texts.tolist(),
        size=12 if len(value) < 10 else 10,
        customdata=hover.tolist(),
        hover="%{customdata}",
        hoverongaps=False,
        x=None,
        y=None,
        xgap=2,
        ygap=2,
        **where,
    )
    name_axes(figure, (names[1:], names[:-1]), ("", ""), **where)
    # Half a page wide: of two neighbouring names, more collide than on a whole one.
    if sum(len(short(name)) for name in names[:-1]) > 45:
        figure.update_xaxes(tickangle=30, **where)
    return float(np.nanmax(np.abs(difference), initial=0))


def _words(table, measure: _Measure, layer, within: str) -> tuple[str, str]:
    """Title and subtitle: what is measured where, and against which chance."""
    (first, *_) = table.values()
    where = "mean over all layers"
    if layer is not None:
        where = f"layer {first.layers[index_of(layer, first.layers, 'layer')]}"
    who = run_name(first) if len(table) == 1 else first.stream
    hint = "Shown on hover, " if any(map(_crowded, table.values())) else "In brackets, "
    what = measure.title[0].upper() + measure.title[1:]
    return (
        f"Do two tasks share a subspace? {what}, {where}: {who}",
        f"{measure.meaning} Blue: closer than chance; white: no more than chance; orange: "
        f"further apart.<br>{hint}chance: the later task's update "
        f"{WITHIN_NAMES[within]}, with the range of 95 % of such draws.",
    )


def _crowded(record: Record) -> bool:
    """Whether cells are too small for two lines."""
    return len(record.tasks) > 8
