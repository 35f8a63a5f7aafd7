"""What each task's update is: where it lies among earlier ones, its energy, its values in the core.

`subspace_pair` holds two tasks' updates against each other; `core_contents` draws what lies inside
the shared core of one layer.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis import subspaces, updates
from fmlora_kit.analysis.arguments import index_of
from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures import style
from fmlora_kit.figures.curves import Records, single, styles_of
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.maps import color_bar
from fmlora_kit.figures.subspaces import WITHIN_NAMES, mean_of_known, one_each, side_titles
from fmlora_kit.record import Record
from fmlora_kit.record.card import full_core

_MEAN_LINE = {"color": style.AVERAGE_COLOR, "width": 3.5}
_CHANCE_LINE = {"color": style.NEUTRAL, "width": 2, "dash": "dash"}


@draws()
def earlier_span(
    records: Records, *, energy: float = subspaces.ENERGY, within: str = "open"
) -> go.Figure:
    """Share of each new update that lies in the span of all earlier ones, in %, against chance.

    A dot per layer, a line for their mean, a dashed line for what chance would give; one row of
    panels per record. Above the dashed line a task goes where others have been, more than it must.

    Of runs with low-rank updates and two tasks. `energy` is the share of an earlier update's energy
    that its directions hold; chance draws from `within`, see `analysis.subspaces.WITHIN`.
    """
    checks.choice("within", within, WITHIN_NAMES)
    table = one_each(records, least=2)
    (record, *_) = table.values()
    who = run_name(record) if len(table) == 1 else record.stream
    figure = style.grid(
        f"How much of each update lies where earlier tasks have been: {who}",
        "Share of its energy inside the span of all earlier updates. A dot per layer; thick "
        f"line: mean over layers;<br>dashed: an update {WITHIN_NAMES[within]}.",
        rows=len(table),
        cols=2,
        panels=side_titles(table),
        spacing=(0.03, 0.2 / len(table)),
        sharing="y",
        height=140 + 310 * len(table),
        margin={"t": 120},
        showlegend=False,
    )
    for row, record in enumerate(table.values(), start=1):
        for col, side in enumerate(subspaces.SIDES, start=1):
            share, chance = subspaces.share_in_earlier(record, side, energy=energy, within=within)
            _add_shares(figure, record, 100 * share[1:], 100 * chance[1:], row=row, col=col)
    figure.update_yaxes(range=[0, 103])
    figure.update_yaxes(title_text="share in earlier span (%)", col=1)
    figure.update_xaxes(title_text="new task", row=len(table))
    return figure


@draws()
def core_energy(records: Records) -> go.Figure:
    """Energy of all updates together, |C_t|_F^2 of the core, as tasks are learned.

    One record: left the core, a line per layer and their mean; right what each task added. Records
    by label: the sum over layers of each method.
    """
    if not isinstance(records, Record):
        return _compare_energies(one_each(records))
    record = single(records)
    total, added = updates.core_energy(record), updates.update_energy(record)
    share = added[0].sum() / max(added.sum(), np.finfo(float).tiny)  # 0 where nothing changed
    figure = style.grid(
        f"Energy of the core over the tasks: {run_name(record)}",
        "Squared Frobenius norm; a thin line per adapted map. Of all that was added, "
        f"{100 * share:.0f} % came with {record.task_names[0]}, the first task."
        + (f"<br><b>The core is {full}.</b>" if (full := full_core(record)) else ""),
        cols=2,
        panels=("all tasks so far, together", "what each task added"),
        spacing=(0.1, None),
        margin={"t": 105},
    )
    _add_energies(figure, record, total, col=1)
    _add_energies(figure, record, added, col=2)
    figure.update_yaxes(title_text="energy", rangemode="tozero", col=1)
    figure.update_yaxes(type="log", dtick=1, exponentformat="power", col=2)
    return figure


@draws()
def singular_values(
    record: Record, first: int | str, second: int | str, *, layer: int | str | None = None
) -> go.Figure:
    """Singular values of the updates of two tasks, from the largest down, on a logarithmic axis.

    Of a run with low-rank updates; without a layer the mean over all.
    """
    record = single(record)
    where = "mean over layers" if layer is None else _layer_name(record, layer)
    known = record.task_names
    names = [known[index_of(task, known, "task")] for task in (first, second)]
    figure = style.new_figure(
        f"Singular values of two updates, {where}: {run_name(record)}",
        f"How strongly {names[0]} and {names[1]} change the layer, direction by direction; each "
        "line ends at the update's rank.",
    )
    add_singular_values(figure, record, (first, second), layer)
    figure.update_xaxes(title_text="direction", rangemode="tozero")
    figure.update_yaxes(title_text="singular value", type="log", exponentformat="power", dtick=1)
    return figure


def add_singular_values(figure, record: Record, tasks, layer, **where: int) -> None:
    """Add one line per task to a figure under construction, in the tasks' colours."""
    colors = style.task_colors(record.n_tasks)
    for dash, task in zip(("solid", "dot"), tasks, strict=True):
        t = index_of(task, record.task_names, "task")
        layers = subspaces.directions_of(record, t, 1.0)
        if layer is not None:
            layers = [layers[index_of(layer, record.layers, "layer")]]
        values = np.zeros((len(layers), max(one.k for one in layers)))
        for k, one in enumerate(layers):
            values[k, : one.k] = one.values
        name = record.task_names[t]
        figure.add_scatter(
            x=np.arange(1, values.shape[1] + 1),
            y=values.mean(axis=0),
            mode="lines+markers",
            line={"color": colors[t], "width": 2.5, "dash": dash},
            marker={"size": 6, "color": colors[t]},
            name=task_label(name),
            hovertemplate=f"<b>{name}</b><br>direction %{{x}}: %{{y:.4f}}<extra></extra>",
            **where,
        )


def _add_shares(figure, record: Record, share, chance, **where: int) -> None:
    n, n_layers = share.shape
    spread = np.linspace(-0.25, 0.25, n_layers) if n_layers > 1 else np.zeros(1)
    tasks, names = np.arange(n), record.task_names[1:]
    colors = style.task_colors(record.n_tasks)[1 : n + 1]
    figure.add_scatter(
        x=np.round((tasks[:, None] + spread).ravel(), 3),
        y=share.ravel(),
        mode="markers",
        marker={"size": 6, "opacity": 0.75, "color": [c for c in colors for _ in range(n_layers)]},
        text=[f"<b>{name}</b>, {layer}" for name in names for layer in record.layers],
        customdata=chance.ravel(),
        hovertemplate="%{text}<br>%{y:.1f} % (chance %{customdata:.1f} %)<extra></extra>",
        name="layer",
        **where,
    )
    for values, line, what in ((chance, _CHANCE_LINE, "chance"), (share, _MEAN_LINE, "mean")):
        figure.add_scatter(
            x=tasks,
            y=mean_of_known(values, axis=-1),
            mode="lines",
            line=line,
            name=what,
            text=names,
            hovertemplate=f"<b>%{{text}}</b><br>{what} %{{y:.1f}} %<extra></extra>",
            **where,
        )
    figure.update_xaxes(style.name_axis(names, ""), **where)


def _add_energies(figure, record: Record, table: np.ndarray, col: int) -> None:
    """Add (tasks, L) energies: a thin line per layer, coloured by the kind of map, and the mean."""
    names, kinds = record.task_names, [layer.rpartition(".")[2] for layer in record.layers]
    mean = table.mean(axis=1)
    if col == 2:  # a logarithmic axis, on which there is no zero
        table, mean = (np.where(values > 0, values, np.nan) for values in (table, mean))
    colors = dict(zip(dict.fromkeys(kinds), style.PALETTE, strict=False))
    for k, (layer, kind) in enumerate(zip(record.layers, kinds, strict=True)):
        figure.add_scatter(
            x=np.arange(len(table)),
            y=table[:, k],
            mode="lines+markers",
            line={"color": colors.get(kind, style.INK), "width": 1},
            marker={"size": 4},
            opacity=0.7,
            name=f"{kind} maps",
            legendgroup=kind,
            showlegend=col == 1 and k == kinds.index(kind),
            text=names,
            hovertemplate=f"<b>{layer}</b><br>%{{text}}: %{{y:.3g}}<extra></extra>",
            row=1,
            col=col,
        )
    figure.add_scatter(
        x=np.arange(len(table)),
        y=mean,
        mode="lines+markers",
        line=_MEAN_LINE,
        marker={"size": 8, "color": style.INK},
        name="mean",
        showlegend=col == 1,
        text=names,
        hovertemplate="<b>mean over layers</b><br>%{text}: %{y:.3g}<extra></extra>",
        row=1,
        col=col,
    )
    axis = style.name_axis(names, ("after learning", "task")[col - 1])
    figure.update_xaxes(axis | {"tickangle": 30}, row=1, col=col)


def _compare_energies(table: dict[str, Record]) -> go.Figure:
    (record, *_) = table.values()
    figure = style.new_figure(
        f"Energy of all updates together, as tasks are learned: {record.stream}",
        "Squared Frobenius norm, summed over layers: how far the model has moved from the frozen "
        "one.",
    )
    styles = styles_of({label: (one,) for label, one in table.items()})
    longest = max(table.values(), key=lambda r: len(r.tasks))
    for label, one in table.items():
        line_style = styles[label]
        figure.add_scatter(
            x=np.arange(len(one.tasks)),
            y=updates.core_energy(one).sum(axis=1),
            mode="lines+markers",
            line={"color": line_style.color, "dash": line_style.dash, "width": 2.5},
            marker={"symbol": line_style.symbol, "size": 8, "color": line_style.color},
            name=label,
            text=one.task_names,
            hovertemplate=f"<b>{label}</b><br>after %{{text}}: %{{y:.2f}}<extra></extra>",
        )
    figure.update_xaxes(style.name_axis(longest.task_names, "after learning"))
    figure.update_yaxes(title_text="energy, all layers", rangemode="tozero")
    return figure


def _layer_name(record: Record, layer: int | str) -> str:
    return record.layers[index_of(layer, record.layers, "layer")]


# Other colours than the tasks have, which stand in the same figure.
SIDE_STYLES = {"output": ("#17534a", "circle"), "input": ("#8e44ad", "square")}
_ROOMS = {"open": "room left", "core": "shared core", "space": "whole space"}
_LEVELS = {name: f"chance, {words}" for name, words in _ROOMS.items()}


# Of a logarithmic axis; plotly's own powers of ten have letters of another size.
_POWERS = {
    "tickvals": [10.0**k for k in range(-12, 7)],
    "ticktext": [f"10<sup>{k}</sup>".replace("-", "−") for k in range(-12, 7)],
}
_PAIR_AXES = {  # margins are known: plotly need not draw twice to find them
    name: {"title": {"text": title, "font": {"size": 13}}, "automargin": False, **settings}
    for name, title, settings in (
        ("xaxis", "which angle", {"rangemode": "tozero"}),
        ("xaxis2", "1: one holds the other", {"range": [0, 1.15], "dtick": 0.5}),
        ("xaxis3", "direction", {"rangemode": "tozero"}),
        ("yaxis", "angle (degrees)", {"range": [0, 92], "dtick": 15}),
        ("yaxis2", "", {"autorange": "reversed", "ticks": "", "showgrid": False}),
        ("yaxis3", "singular value", {"type": "log", **_POWERS}),
    )
}


@draws()
def subspace_pair(
    record: Record,
    first: int | str,
    second: int | str,
    *,
    layer: int | str | None = None,
    energy: float = subspaces.ENERGY,
) -> go.Figure:
    """Three panels on two tasks: principal angles, overlap against chance, singular values.

    Of a run with low-rank updates and two different tasks; without a layer the mean over all.
    `energy` is the share of an update's energy that the compared directions hold.
    """
    record = single(record)
    pair = subspaces.task_pair(record, first, second, layer=layer, energy=energy)
    return _draw_pair(record, pair, energy)


@draws()
def measured_pair(record: Record, pair: subspaces.TaskPair, energy: float) -> go.Figure:
    """`subspace_pair` of what `task_pair` measured before, with this `energy`."""
    return _draw_pair(record, pair, energy)


def _draw_pair(record: Record, pair: subspaces.TaskPair, energy: float) -> go.Figure:
    names = [task_label(record.task_names[t]) for t in (pair.earlier, pair.later)]
    where = "mean over layers" if pair.layer is None else pair.layer
    figure = style.grid(
        f"{names[0]} and {names[1]}, {where}: {run_name(record)}",
        f"Directions holding {100 * energy:g} % of each update's energy: "
        f"{pair.sizes[0]:.1f} of {names[0]}, {pair.sizes[1]:.1f} of {names[1]}.<br>A solid "
        "line on its dashed one: no more shared than by chance.",
        cols=3,
        panels=("principal angles", "overlap (mean cos²)", "singular values"),
        spacing=(0.17, None),  # room for the middle panel's long labels
        widths=(4, 3, 4),
        height=500,
        margin={"t": 120, "b": 105},
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        bargap=0.25,
        **_PAIR_AXES,
    )
    for side in subspaces.SIDES:
        _add_angles(figure, pair, side)
    _add_overlaps(figure, pair)
    add_singular_values(figure, record, (pair.earlier, pair.later), pair.layer, row=1, col=3)
    return figure


def verdict(record: Record, pair: subspaces.TaskPair) -> str:
    """One plain sentence on a pair: its overlaps and what chance gives, output side first."""
    names = [record.task_names[t] for t in (pair.earlier, pair.later)]
    where = "all layers" if pair.layer is None else pair.layer
    if not pair.sizes.all():
        nothing = [name for name, size in zip(names, pair.sizes, strict=True) if not size]
        return f"{' and '.join(nothing)} changed nothing at {where}: there are no angles."
    overlaps = []
    for side in subspaces.SIDES:
        levels = pair.overlap_chance[side]
        chance = levels.get("open", levels["space"])  # the tightest there is
        overlaps.append(f"{side} {pair.overlap[side]:.2f} (chance {chance:.2f})")
    return (
        f"{names[0]} and {names[1]}, {where}: overlap of {' and '.join(overlaps)}; "
        f"cosine between the updates {pair.cosine:.2f}."
    )


def _add_angles(figure: go.Figure, pair: subspaces.TaskPair, side: str) -> None:
    color, symbol = SIDE_STYLES[side]
    for values, name, mode, dash, width in (
        (pair.angles[side], side, "lines+markers", "solid", 2.5),
        (pair.angles_chance[side], f"{side}, by chance", "lines", "dash", 1.8),
    ):
        figure.add_scatter(
            x=np.arange(1, len(values) + 1),
            y=values,
            mode=mode,
            line={"color": color, "dash": dash, "width": width},
            marker={"color": color, "symbol": symbol, "size": 8},
            name=name,
            legend="legend",
            hovertemplate=f"<b>{name}</b><br>angle %{{x}}: %{{y:.1f}}°<extra></extra>",
            row=1,
            col=1,
        )


def _add_overlaps(figure: go.Figure, pair: subspaces.TaskPair) -> None:
    """Bars from the top down: the pair and its chance levels, first output, then input."""
    heights, labels = [], []
    for first, side in zip((0, 4.5), subspaces.SIDES, strict=True):
        levels = pair.overlap_chance[side]
        known = [name for name in _LEVELS if name in levels]
        values = [pair.overlap[side], *(levels[name] for name in known)]
        own = [first + k for k in range(len(values))]
        own_labels = [f"<b>{side}</b>, this pair", *(_LEVELS[name] for name in known)]
        heights, labels = heights + own, labels + own_labels
        figure.add_bar(
            x=values,
            y=own,
            orientation="h",
            marker={"color": [SIDE_STYLES[side][0], *[style.NEUTRAL] * len(known)]},
            text=["" if np.isnan(v) else f"{v:.2f}" for v in values],
            textposition="outside",
            textfont={"color": style.INK, "size": 12},
            cliponaxis=False,
            name=f"overlap, {side}",
            showlegend=False,
            hovertext=own_labels,
            hovertemplate="%{hovertext}: %{x:.3f}<extra></extra>",
            row=1,
            col=2,
        )
    figure.update_yaxes(tickvals=heights, ticktext=labels, row=1, col=2)


_COLUMNS = 3
_PANEL = 250  # pixels
# Orange: negative; white: zero; blue: positive, darker than elsewhere since nothing stands on it.
_SIGNED = ((0.0, "#b35806"), (0.5, "#ffffff"), (1.0, "#0b5a8f"))


@draws()
def core_contents(record: Record, layer: int | str = 0) -> go.Figure:
    """What each task added to the core of one layer, M_t N_t; a panel per task, sharp where large.

    Every panel has its own colour scale, since the first task's numbers are much larger; above it
    stands its largest number. The core is the sum of all panels.
    """
    record = single(record)
    changes = updates.core_changes(record, layer)
    largest = np.abs(changes).max(axis=(1, 2))
    n_rows, names = -(-len(changes) // _COLUMNS), map(task_label, record.task_names)
    figure = style.grid(
        f"What each task put into the core of {_layer_name(record, layer)}: {run_name(record)}",
        "Rows: directions of A, which the layer can write; columns: directions of B, which it "
        "can look at.<br>White: nothing. The core is the sum of all panels.",
        rows=n_rows,
        cols=_COLUMNS,
        panels=map("<b>{}</b>, largest {:.2g}".format, names, largest),
        spacing=(0.06, 0.3 / n_rows),
        height=130 + _PANEL * n_rows,
        margin={"t": 115},
    )
    for t, (change, top) in enumerate(zip(changes, largest, strict=True)):
        where = style.cell(t, _COLUMNS)
        figure.add_heatmap(
            x=np.arange(1, len(change) + 1),
            y=np.arange(1, len(change) + 1),
            z=change / (top or 1),
            zmin=-1,
            zmax=1,
            colorscale=_SIGNED,
            showscale=t == 0,
            colorbar=color_bar("share of the panel's largest number"),
            name=record.task_names[t],
            hovertemplate="output %{y}, input %{x}: %{z:.2f} of the largest<extra></extra>",
            **where,
        )
        figure.update_yaxes(autorange="reversed", showgrid=False, **where)
        figure.update_xaxes(showgrid=False, **where)
    figure.update_yaxes(title_text="output direction", col=1)
    figure.update_xaxes(title_text="input direction", row=n_rows)
    return figure
