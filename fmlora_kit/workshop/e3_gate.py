"""E3: the gate. One rank of several, drawn so that a gradient reaches what it was drawn from.

ranks: (K,) rising, the last one R; logits, uniform: (layers, K). `adapters.drs` has the method.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fmlora_kit.workshop.judge import Asked, Mistake, compare, digits, near


def prefixes(ask: Asked) -> int:
    """(K, R) ones and zeros: rank r opens the first r columns."""
    for ranks in (torch.tensor([1, 2, 4]), torch.tensor([2, 3, 5, 7])):
        width, columns = int(ranks[-1]), torch.arange(int(ranks[-1]))
        right = (columns < ranks[:, None]).double()
        got = ask(ranks, shape=(len(ranks), width))
        compare(
            got,
            right,
            {
                "Each rank opens one column only. A rank of 4 means 4 open columns: which?": (
                    columns == ranks[:, None] - 1
                ),
                "The gates open from the far end: is a small rank then a part of a larger one, "
                "when that one is cut?": right.flip(1),
                "Open and closed are exchanged: 1 is open.": 1 - right,
                "Every rank opens one column too many.": columns <= ranks[:, None],
                "Every rank opens one column too few.": columns < ranks[:, None] - 1,
                "The ranks come in the opposite order.": right.flip(0),
            },
            f"For the ranks {ranks.tolist()} you get {digits(got.sum(1))} open columns, or not the "
            "first ones.",
        )
    return 2


def choose(ask: Asked) -> int:
    """(layers, K) one 1 a row, at the largest of logits + Gumbel noise; gradients as if soft."""
    _forwards(ask)
    _rows(ask)
    _gradient(ask)
    return 8


def _forwards(ask: Asked) -> None:
    clear, level = torch.tensor([[0.0, 5.0, 0.0]]), torch.full((1, 3), 0.5)
    soft = torch.softmax(clear, 1)
    got = ask(clear, level, 1.0, shape=(1, 3))
    if near(got, soft):
        raise Mistake(
            "Forwards the choice is soft: every rank is a little open. How does exactly one of "
            "them become 1?"
        )
    flat = "One rank is far ahead, and the noise is the same for all: yours is not the one chosen."
    compare(
        got,
        [[0, 1, 0]],
        {
            "You choose the least likely rank.": [[1, 0, 0]],
            "A single layer chooses every rank: the softmax, or the choice, runs over the layers, "
            "not over the ranks.": [[1, 1, 1]],
            "Your row adds up to 2, or counts the choice twice.": [[0, 2, 0]],
        },
        flat,
    )
    equal = torch.zeros(1, 3)
    compare(
        ask(equal, torch.tensor([[0.5, 0.9, 0.1]]), 1.0, shape=(1, 3)),
        [[0, 1, 0]],
        {
            "The noise has the wrong sign: of equal logits the one with u nearest to 1 should win, "
            "and with yours it loses.": [[0, 0, 1]],
            "The noise does nothing: of equal logits always the first is chosen.": [[1, 0, 0]],
        },
        "Of equal logits the one with u nearest to 1 should be chosen.",
    )
    for lead, wins in ((1.0, 1), (1.3, 0)):  # Gumbel noise of 0.5 and 0.8: 0.37 and 1.50
        got = ask(torch.tensor([[lead, 0.0]]), torch.tensor([[0.5, 0.8]]), 1.0, shape=(1, 2))
        if int(got.argmax()) != wins:
            much = "too weak or of the wrong kind" if wins else "too strong"
            raise Mistake(
                f"The noise is {much}. Gumbel noise takes two logarithms of a uniform number; "
                "which signs stand before them?"
            )
    got = ask(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.8]]), 0.5, shape=(1, 2))
    if int(got.argmax()) != 1:
        raise Mistake(
            "The temperature changes which rank is chosen: do you divide the logits by it before "
            "the noise is added?"
        )


def _rows(ask: Asked) -> None:
    logits = torch.tensor([[0.0, 5.0, 0.0], [0.0, 9.0, 7.0], [0.0, 0.0, 3.0]])
    got = ask(logits, torch.full((3, 3), 0.5), 1.0, shape=(3, 3))
    rows, columns = np.eye(3)[[1, 1, 2]], np.eye(3)[[0, 1, 1]].T
    compare(
        got,
        rows,
        {"You choose one layer for each rank, and need one rank for each layer.": columns},
        "Of several layers each should choose one rank of its own.",
    )


def _gradient(ask: Asked) -> None:
    logits = torch.tensor([[0.3, -0.2, 0.1], [1.0, 0.0, -0.5]], dtype=torch.float64)
    uniform = torch.tensor([[0.2, 0.6, 0.5], [0.3, 0.3, 0.9]], dtype=torch.float64)
    noise = -torch.log(-torch.log(uniform))
    got = _slope(ask, logits, uniform, 1.0)
    axis = _soft_slope(lambda x: torch.softmax(x + noise, 0), logits)
    compare(
        got,
        _soft_slope(lambda x: torch.softmax(x + noise, 1), logits),
        {
            "The gradient is exactly zero: the soft choice comes in and goes out again. Which of "
            "the two should the gradient not see?": 0 * logits,
            "Backwards the softmax runs over the layers, not over the ranks.": axis,
            "The gradient leaves out the noise: the soft choice should be made of what the hard "
            "one is made of.": _soft_slope(lambda x: torch.softmax(x, 1), logits),
            "The gradient has its sign turned round.": (
                -_soft_slope(lambda x: torch.softmax(x + noise, 1), logits)
            ),
        },
        "Forwards it is right, backwards the gradient is not that of the soft choice.",
    )
    got = _slope(ask, logits, uniform, 0.5)
    compare(
        got,
        _soft_slope(lambda x: torch.softmax((x + noise) / 0.5, 1), logits),
        {
            "You multiply by the temperature. Should a cold draw, near 0, be sharper or softer?": (
                _soft_slope(lambda x: torch.softmax((x + noise) * 0.5, 1), logits)
            ),
            "The temperature does nothing: what should become sharper as it falls?": (
                _soft_slope(lambda x: torch.softmax(x + noise, 1), logits)
            ),
        },
        "At temperature 1 the gradient is right, at 0.5 it is not.",
    )


def _slope(ask: Asked, logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """The gradient of a weighted sum of the answer, with respect to the logits."""
    start = logits.clone().requires_grad_()
    kept = []
    inner = Asked(ask.name, lambda x, u, t: ask.function(kept.append(x) or x, u, t))
    answer = inner.raw(start, uniform, temperature)
    if not isinstance(answer, Tensor) or not answer.requires_grad:
        raise Mistake(
            "No gradient reaches the logits: the answer is cut off from them. A hard choice has "
            "none to give; what could lend it one?"
        )
    try:
        (got,) = torch.autograd.grad((answer * _weights(answer)).sum(), kept, allow_unused=True)
    except RuntimeError as error:
        raise Mistake(f"Backwards through the answer torch raises {error}") from None
    return torch.zeros_like(logits) if got is None else got


def _soft_slope(soft, logits: Tensor) -> Tensor:
    start = logits.clone().requires_grad_()
    answer = soft(start)
    return torch.autograd.grad((answer * _weights(answer)).sum(), start)[0]


def _weights(answer: Tensor) -> Tensor:
    return torch.arange(1.0, 1 + answer.numel()).square().reshape(answer.shape).to(answer)
