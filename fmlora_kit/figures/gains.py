"""Where a lead comes from: the head or the adaptation; and what becomes of it on longer streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.comparison import Comparison, difference
from fmlora_kit.analysis.names import OURS, display_name
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.maps import cell_texts, task_map
from fmlora_kit.figures.style import FRACTION_SCALE, INK, method_styles, new_figure

_DODGE = 0.07  # of the distance between two lengths, so that intervals do not hide each other


@draws(Comparison, alone=False, forms=(Mapping,))
def lead_by_length(comparisons: Mapping[str, Comparison], others: Sequence[str]) -> go.Figure:
    """FM-LoRA's final accuracy minus that of others, paired by seed, against the number of tasks.

    Args:
        comparisons: of the same methods on streams of different lengths, in rising order; the
            labels are those of the axis, such as "10 tasks".
        others: names of the methods; one that a comparison lacks has no point there.
    """
    if not comparisons:
        raise ValueError("comparisons must hold at least one comparison, got none")
    figure = new_figure(
        f"{display_name(OURS)}'s lead over others, by the length of the stream",
        "Difference of final accuracies, paired by seed; bars: 95 % intervals",
    )
    styles = method_styles(map(display_name, others))
    for k, method in enumerate(others):
        name, places, gaps = display_name(method), [], []
        for place, comparison in enumerate(comparisons.values()):
            rows = {row.label: row for row in comparison.rows}
            gap = difference(rows[OURS], rows[method]) if {OURS, method} <= rows.keys() else None
            if gap is not None:
                places.append(place + _DODGE * (k - (len(others) - 1) / 2))
                gaps.append(gap)
        bars = [0 if np.isnan(gap.ci95) else round(100 * gap.ci95, 2) for gap in gaps]
        look = styles[name]
        figure.add_scatter(
            x=places,
            y=[round(100 * gap.mean, 2) for gap in gaps],
            error_y={"array": bars, "color": look.color, "thickness": 1.6, "width": 4},
            mode="lines+markers",
            line={"color": look.color, "dash": look.dash, "width": 2.5},
            marker={"symbol": look.symbol, "size": 9},
            name=name,
            customdata=[f"{gap.n} seed{'s' * (gap.n > 1)}" for gap in gaps],
            hovertemplate=f"minus {name}: %{{y:.1f}} points, %{{customdata}}<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(tickvals=list(range(len(comparisons))), ticktext=list(comparisons))
    figure.update_yaxes(title_text="points of final accuracy")
    return figure


@draws(Comparison)
def heads_by_adaptation(comparison: Comparison) -> go.Figure:
    """Final accuracy, a row per way to adapt and a column per head, from the study "heads".

    Its labels are "what adapts; head"; a combination that was not run is an empty cell.
    """
    pairs = [row.label.partition("; ")[::2] for row in comparison.rows]
    if not all(head for _, head in pairs):
        raise ValueError(f"comparison must have rows 'what adapts; head', got {pairs[0][0]!r}")
    means = {
        pair: 100 * row.mean("final_accuracy")
        for pair, row in zip(pairs, comparison.rows, strict=True)
    }

    def by_mean(names: set[str], place: int) -> list[str]:
        of = {n: [v for pair, v in means.items() if pair[place] == n] for n in names}
        return sorted(of, key=lambda n: (np.mean(of[n]), n))

    adapts, heads = (by_mean({pair[k] for pair in pairs}, k) for k in (0, 1))
    values = np.array([[means.get((a, h), np.nan) for h in heads] for a in adapts])
    seeds = max(len(row.seeds) for row in comparison.rows)
    figure = new_figure(
        f"What adapts, under which head: {comparison.stream}",
        f"Final accuracy (%), mean of {seeds} seed{'s' * (seeds > 1)}; down: the adaptation's part,"
        " to the right: the head's",
        height=180 + 55 * len(adapts),
    )
    task_map(
        figure,
        values.round(2),
        (adapts, heads),
        ("what adapts", "head"),
        text=cell_texts(values, 1),
        bar="%",
        colorscale=FRACTION_SCALE,
        hover="<b>%{customdata[0]}</b>, %{customdata[1]}: %{z:.1f} %",
    )
    return figure
