"""A picture in grey and its attribution map over it, pixel by pixel."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.explanations import Explanations

# Blue and vermillion of Okabe and Ito, told apart with any colour vision; zero is see-through.
SIGNED_SCALE = (
    (0.0, "rgba(0,70,130,1)"),
    (0.25, "rgba(0,114,178,0.75)"),
    (0.5, "rgba(0,114,178,0)"),
    (0.5, "rgba(213,94,0,0)"),
    (0.75, "rgba(213,94,0,0.75)"),
    (1.0, "rgba(150,50,0,1)"),
)
POSITIVE_SCALE = (
    (0.0, "rgba(213,94,0,0)"),
    (0.5, "rgba(213,94,0,0.75)"),
    (1.0, "rgba(150,50,0,1)"),
)
UNITS = {
    "integrated_gradients": "logits per pixel",
    "saliency": "logits per unit of pixel",
    "grad_cam": "Grad-CAM",
    "attention_rollout": "share of attention",
}
_FADE = 0.35  # how much of a picture's contrast is left under a map
_HIDDEN = {
    "showticklabels": False,
    "showgrid": False,
    "showline": False,
    "ticks": "",
    "constrain": "domain",
}


def add_picture(figure: go.Figure, picture: np.ndarray, row: int, col: int) -> None:
    """Add a picture as it is: uint8 (H, W, 3), crisp pixels, no axes."""
    figure.add_trace(go.Image(z=picture, hoverinfo="skip"), row=row, col=col)
    figure.update_xaxes(**_HIDDEN, row=row, col=col)
    figure.update_yaxes(**_HIDDEN, row=row, col=col)


def add_explained(
    figure: go.Figure, picture: np.ndarray, map_: np.ndarray, limit: float, row: int, col: int
) -> None:
    """Add a picture in pale grey and its map (H, W) over it; a map of NaN is left out.

    Args:
        figure: with subplots.
        picture: uint8 (H, W, 3).
        map_: its attributions; where one is negative, so that ``limit`` is for both signs.
        limit: where the colours end.
        row: of the subplot.
        col: of the subplot.
    """
    add_picture(figure, faded_grey(picture), row, col)
    if not np.isfinite(map_).any():
        return
    figure.add_heatmap(
        z=np.float32(np.round(map_ / limit, 3)),
        coloraxis="coloraxis",
        hovertemplate="%{z:.2f} of the scale's end<extra></extra>",
        row=row,
        col=col,
    )


def faded_grey(picture: np.ndarray) -> np.ndarray:
    """A picture in grey with little contrast, on the pale side: uint8 (H, W, 3)."""
    grey = picture.mean(axis=2, keepdims=True)
    return np.repeat((255 - _FADE * (255 - grey)).astype(np.uint8), 3, axis=2)


def limit_of(maps: np.ndarray) -> float:
    """Where the colours end: 99.5% of the pixels are within; 1 if all of them are zero."""
    known = np.abs(maps[np.isfinite(maps)])
    limit = float(np.quantile(known, 0.995)) if known.size else 0.0
    return limit or float(known.max(initial=0.0)) or 1.0


def color_axis(explanations: Explanations, limit: float | None, **place: object) -> dict:
    """Settings of the colours of maps that were divided by ``limit``; None: each by its own.

    Args:
        explanations: whose maps are shown.
        limit: see `limit_of`.
        place: of the colour bar.
    """
    signed = explanations.signed
    ticks = (-1, 0, 1) if signed else (0, 1)
    texts = ["against", "0", "for"] if signed else ["0", "most"]
    if limit is not None:
        ends = [f"<br>{tick * limit:{'+' if signed else ''}.2g}" if tick else "" for tick in ticks]
        texts = [text + end for text, end in zip(texts, ends, strict=True)]
    return {
        "colorscale": SIGNED_SCALE if signed else POSITIVE_SCALE,
        "cmin": -1 if signed else 0,
        "cmax": 1,
        "colorbar": {
            "title": {
                "text": "own scale" if limit is None else UNITS[explanations.method],
                "side": "right",
                "font": {"size": 12},
            },
            "tickfont": {"size": 11},
            "tickvals": ticks,
            "ticktext": texts,
            "thickness": 14,
            "outlinewidth": 1,
            "outlinecolor": "#888888",
            **place,
        },
    }
