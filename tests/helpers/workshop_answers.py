"""What participants write: mistakes, each with words of its message, and right answers.

`MISTAKES`: function -> mistake -> (what was written, words that only its message has).
`RIGHT`: function -> other ways to write it that are as right as the notebooks' solutions.
`SOLUTIONS`: those of the notebooks, by function: their source between nbgrader's delimiters.
"""

import math
from pathlib import Path

import nbformat
import numpy as np
import scipy.linalg
import torch
from torch.nn import functional as F

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks" / "workshop").glob("w*.ipynb"))


def t_(*arrays):
    return [torch.as_tensor(array) for array in arrays]


def n_(*arrays):
    return [np.asarray(array) for array in arrays]


# --- E1 ------------------------------------------------------------------------------------------
def falls_max(a):
    return [a[i : len(a) - 1, i].max() - a[-1, i] for i in range(len(a) - 1)]


def falls_first(a):
    return [a[i, i] - a[-1, i] for i in range(len(a) - 1)]


def falls_step(a):
    return [a[t - 1, :t] - a[t, :t] for t in range(1, len(a))]


def loop_max(a):
    total, end = 0.0, len(a) - 1
    for i in range(end):
        best = a[i, i]
        for t in range(i, end):
            best = max(best, a[t, i])
        total += best - a[end, i]
    return total / end


def loop_step(a):
    total = 0
    for t in range(1, len(a)):
        total += sum(a[t - 1, i] - a[t, i] for i in range(t)) / t
    return total / (len(a) - 1)


def filled_max(a):
    low = np.where(np.tri(len(a), dtype=bool), a, -np.inf)
    return (low[:-1, :-1].max(0) - a[-1, :-1]).mean()


def torch_max(a):
    (a,) = t_(a)
    low = torch.where(torch.ones_like(a).tril() > 0, a, -torch.inf)
    return (low[:-1, :-1].amax(0) - a[-1, :-1]).mean()


def torch_step(a):
    (a,) = t_(a)
    falls = (a[:-1] - a[1:]).tril()
    each = torch.stack([falls[t, : t + 1].mean() for t in range(len(falls))])
    return each.mean().float()


def masked_step(a):
    falls = np.where(np.tri(len(a) - 1, len(a), dtype=bool), a[:-1] - a[1:], np.nan)
    return np.nanmean(np.nanmean(falls, axis=1))


# --- E2 ------------------------------------------------------------------------------------------
def added_in_place(core, m, n):
    core += m @ n
    return core


def merged_in_place(weight, a, core, b, scale):
    weight += scale * a @ core @ b
    return weight


def looped_fold(core, m, n):
    answer = core.clone()
    for r in range(m.shape[1]):
        answer += torch.outer(m[:, r], n[r])
    return answer


# --- E3 ------------------------------------------------------------------------------------------
def gumbel(u):
    return -torch.log(-torch.log(u))


def one_hot(soft):
    return F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft)


def chosen(soft):
    return one_hot(soft) - soft.detach() + soft


def other_axis(logits, uniform, temperature):
    soft = torch.softmax((logits + gumbel(uniform)) / temperature, 0)
    hard = torch.zeros_like(soft).scatter(0, soft.argmax(0, keepdim=True), 1.0)
    return hard - soft.detach() + soft


def logits_alone_divided(logits, uniform, temperature):
    return chosen(torch.softmax(logits / temperature + gumbel(uniform), 1))


class Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, soft):
        return one_hot(soft)

    @staticmethod
    def backward(ctx, slope):
        return slope


def looped_prefixes(ranks):
    table = np.zeros((len(ranks), int(ranks[-1])))
    for k, rank in enumerate(ranks):
        table[k, : int(rank)] = 1
    return table


def split_choose(logits, uniform, temperature):
    noisy = logits / temperature + gumbel(uniform) / temperature
    soft = noisy.exp() / noisy.exp().sum(1, keepdim=True)
    return (one_hot(soft) - soft).detach() + soft


def log_choose(logits, uniform, temperature):
    soft = F.log_softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=-1).exp()
    return one_hot(logits + gumbel(uniform)) + soft - soft.detach()


# --- E4 ------------------------------------------------------------------------------------------
def share(novelty, earlier):
    return min(1, novelty / np.mean(earlier)) if len(earlier) else 1


def step_in_place(p, fast, t, novelty, earlier):
    p += share(novelty, earlier) / math.sqrt(t) * (fast - p)
    return p


def with_first(p, fast, t, novelty, earlier):
    if t == 1:
        return fast
    usual = np.mean(earlier) if earlier else novelty
    eta = t**-0.5 * np.minimum(novelty / usual, 1)
    return (1 - eta) * p + eta * fast


# --- E5 ------------------------------------------------------------------------------------------
def cosines(x, y, clip=True):
    qx, qy = np.linalg.qr(x).Q, np.linalg.qr(y).Q
    found = np.linalg.svd(qx.T @ qy, compute_uv=False)
    return np.clip(found, -1, 1) if clip else found


def unit(x):
    return x / np.linalg.norm(x, axis=0)


def crossed(x, y):
    return np.linalg.svd(x.T @ y, compute_uv=False).clip(-1, 1)


def angles_torch(x, y):
    (x, y) = t_(x, y)
    qx, qy = torch.linalg.qr(x).Q, torch.linalg.qr(y).Q
    return torch.rad2deg(torch.arccos(torch.linalg.svdvals(qx.T @ qy).clamp(max=1)))


def angles_float32(x, y):
    return np.degrees(np.arccos(cosines(np.float32(x), np.float32(y)).clip(0, 1)))


def angles_by_eigenvalues(x, y):
    ux, uy = scipy.linalg.orth(x), scipy.linalg.orth(y)
    small, large = sorted((ux, uy), key=lambda u: u.shape[1])
    squared = np.linalg.eigvalsh(small.T @ large @ large.T @ small)[::-1]
    return np.rad2deg(np.arccos(np.sqrt(squared.clip(0, 1))))


def drawn_overlap(earlier, k, room):
    random, found = np.random.default_rng(0), []
    for _ in range(300):
        later = room @ np.linalg.qr(random.standard_normal((room.shape[1], k))).Q
        found.append(np.mean(cosines(earlier, later) ** 2))
    return np.mean(found)


def projected_overlap(earlier, k, room):
    inside = np.linalg.norm(earlier.T @ room) ** 2
    return k * inside / (room.shape[1] * min(k, earlier.shape[1]))


MISTAKES = {
    "forgetting_max": {
        "first instead of max": (lambda a: np.mean(falls_first(a)), "got better after it was"),
        "division by T": (lambda a: np.sum(falls_max(a)) / len(a), "by the number of tasks"),
        "sign": (lambda a: -np.mean(falls_max(a)), "sign"),
        "NaN": (lambda a: np.mean(a.max(0)[:-1] - a[-1, :-1]), "NaN"),
        "sum": (lambda a: np.sum(falls_max(a)), "add up the falls"),
        "percent": (lambda a: 100 * np.mean(falls_max(a)), "percent"),
        "one task": (lambda a: falls_max(a)[0], "one task only"),
        "last task": (lambda a: falls_max(a)[-1], "or the last of the falls"),
        "by step": (loop_step, "mean fall of a step"),
        "best includes the last row": (
            lambda a: np.mean([a[i:, i].max() - a[-1, i] for i in range(len(a) - 1)]),
            "cut at zero",
        ),
        "size of the fall": (lambda a: np.mean(np.abs(falls_max(a))), "without its direction"),
        "above the diagonal": (
            lambda a: np.mean(np.nanmax(a[:-1, :-1], 0) - a[-1, :-1]),
            "before it was learned",
        ),
        "accuracy": (lambda a: a[-1, 0], "not a fall"),
        "three tasks": (lambda a: np.mean(falls_max(a)[:2]), "six are not"),
    },
    "forgetting_first": {
        "max instead of first": (lambda a: np.mean(falls_max(a)), "best accuracy; here"),
        "division by T": (lambda a: np.sum(falls_first(a)) / len(a), "by the number of tasks"),
        "sign": (lambda a: -np.mean(falls_first(a)), "sign"),
        "NaN": (lambda a: np.mean(a[0] - a[-1]), "NaN"),
        "sum": (lambda a: np.sum(falls_first(a)), "add up the falls"),
        "first row": (
            lambda a: np.mean(np.where(np.isnan(a[0]), np.diag(a), a[0])[:-1] - a[-1, :-1]),
            "from the first row",
        ),
    },
    "forgetting_step": {
        "pooled": (lambda a: np.mean(np.concatenate(falls_step(a))), "all falls alike"),
        "sum of steps": (lambda a: np.sum([f.mean() for f in falls_step(a)]), "add up the steps"),
        "sum in a step": (
            lambda a: np.mean([f.sum() for f in falls_step(a)]),
            "telescopes",
        ),
        "sum of sums": (lambda a: np.sum([f.sum() for f in falls_step(a)]), "Two numbers"),
        "division by T": (
            lambda a: np.sum([f.mean() for f in falls_step(a)]) / len(a),
            "by the number of tasks",
        ),
        "sign": (lambda a: -loop_step(a), "sign"),
        "NaN": (lambda a: np.mean(a[:-1] - a[1:]), "NaN"),
        "above the diagonal": (
            lambda a: np.mean([np.nanmean(a[t - 1] - a[t]) for t in range(1, len(a))]),
            "above the diagonal",
        ),
    },
    "fold": {
        "N M": (lambda c, m, n: c + n @ m, "N M"),
        "replaced": (lambda c, m, n: m @ n, "taken its place"),
        "in place": (added_in_place, "in place"),
        "entry by entry": (lambda c, m, n: c + m * n, "entry by entry"),
        "nothing": (lambda c, m, n: c, "Nothing of the pair"),
        "taken away": (lambda c, m, n: c - m @ n, "taken away from the core"),
        "sum": (lambda c, m, n: c + m + n, "as a product"),
        "minus the core": (lambda c, m, n: m @ n - c, "from the pair"),
        "twice": (lambda c, m, n: c + c + m @ n, "counts twice"),
        "one column": (lambda c, m, n: c + m[:, :3] @ n[:3] * (len(c) < 5), "rank 2"),
    },
    "merge": {
        "merged twice": (lambda w, a, c, b, s: w + 2 * s * a @ c @ b, "merged again"),
        "scale forgotten": (lambda w, a, c, b, s: w + a @ c @ b, "scale is forgotten"),
        "scale twice": (lambda w, a, c, b, s: w + (s * a) @ c @ (s * b), "in there twice."),
        "scale divided": (lambda w, a, c, b, s: w + a @ c @ b / s, "divide by the scale"),
        "scale of all": (lambda w, a, c, b, s: s * (w + a @ c @ b), "frozen weight too"),
        "scale of the weight": (lambda w, a, c, b, s: s * w + a @ c @ b, "instead of the update"),
        "in place": (merged_in_place, "in place"),
        "replaced": (lambda w, a, c, b, s: s * a @ c @ b, "weight is lost"),
        "no core": (lambda w, a, c, b, s: w + s * a @ b, "Where does the core stand"),
        "B C A": (lambda w, a, c, b, s: w + s * b @ c @ a, "B C A"),
        "sign": (lambda w, a, c, b, s: w - s * a @ c @ b, "taken away where"),
        "transposed": (lambda w, a, c, b, s: w + s * a @ c.T @ b, "transposed"),
        "entry by entry": (lambda w, a, c, b, s: w + s * a * c * b, "entry by entry"),
    },
    "unmerge": {
        "merged twice": (lambda w, a, c, b, s: w + s * a @ c @ b, "merges a second time"),
        "scale forgotten": (lambda w, a, c, b, s: w - a @ c @ b, "forgotten when it leaves"),
        "nothing": (lambda w, a, c, b, s: w, "what went in"),
        "the update": (lambda w, a, c, b, s: s * a @ c @ b, "not the weight without"),
        "sign": (lambda w, a, c, b, s: s * a @ c @ b - w, "sign"),
        "no core": (lambda w, a, c, b, s: w - s * a @ b, "core is missing"),
    },
    "prefixes": {
        "one-hot": (
            lambda r: (torch.arange(int(r[-1])) == r[:, None] - 1).float(),
            "one column only",
        ),
        "reversed": (lambda r: torch.tensor(looped_prefixes(r)).flip(1), "far end"),
        "complement": (lambda r: 1 - looped_prefixes(r), "exchanged"),
        "one too many": (
            lambda r: torch.arange(int(r[-1])) <= r[:, None],
            "too many",
        ),
        "one too few": (lambda r: torch.arange(int(r[-1])) < r[:, None] - 1, "too few"),
        "opposite": (lambda r: looped_prefixes(r)[::-1], "opposite order"),
        "transposed": (lambda r: looped_prefixes(r).T, "shape (4, 3)"),
    },
    "choose": {
        "sign of the noise": (
            lambda x, u, t: chosen(torch.softmax((x - gumbel(u)) / t, 1)),
            "wrong sign",
        ),
        "detach missing": (
            lambda x, u, t: one_hot(s := torch.softmax((x + gumbel(u)) / t, 1)) - s + s,
            "exactly zero",
        ),
        "hard alone": (
            lambda x, u, t: one_hot(torch.softmax((x + gumbel(u)) / t, 1)),
            "cut off",
        ),
        "temperature multiplied": (
            lambda x, u, t: chosen(torch.softmax((x + gumbel(u)) * t, 1)),
            "multiply by the temperature",
        ),
        "temperature forgotten": (
            lambda x, u, t: chosen(torch.softmax(x + gumbel(u), 1)),
            "temperature does nothing",
        ),
        "soft": (lambda x, u, t: torch.softmax((x + gumbel(u)) / t, 1), "choice is soft"),
        "least likely": (
            lambda x, u, t: chosen(torch.softmax(-(x + gumbel(u)) / t, 1)),
            "least likely",
        ),
        "twice": (lambda x, u, t: 2 * chosen(torch.softmax((x + gumbel(u)) / t, 1)), "twice"),
        "no noise": (lambda x, u, t: chosen(torch.softmax(x / t, 1)), "noise does nothing"),
        "uniform noise": (lambda x, u, t: chosen(torch.softmax((x + u) / t, 1)), "too weak"),
        "strong noise": (
            lambda x, u, t: chosen(torch.softmax((x + 2 * gumbel(u)) / t, 1)),
            "too strong",
        ),
        "logits alone": (logits_alone_divided, "before the noise"),
        "other axis": (other_axis, "single layer"),
        "gradient without noise": (
            lambda x, u, t: one_hot(x + gumbel(u)) + (s := torch.softmax(x / t, 1)) - s.detach(),
            "leaves out the noise",
        ),
        "gradient turned": (
            lambda x, u, t: (
                one_hot(x + gumbel(u)) - (s := torch.softmax((x + gumbel(u)) / t, 1)) + s.detach()
            ),
            "sign turned round",
        ),
        "numbers of the choice": (lambda x, u, t: (x + gumbel(u)).argmax(1), "shape (1,)"),
    },
    "outer_step": {
        "ends swapped": (
            lambda p, f, t, n, e: f + share(n, e) / t**0.5 * (p - f),
            "other way round",
        ),
        "sign": (lambda p, f, t, n, e: p - share(n, e) / t**0.5 * (f - p), "sign"),
        "first not whole": (
            lambda p, f, t, n, e: p + share(n, e) / (t + 1) ** 0.5 * (f - p),
            "Of what the first task found",
        ),
        "novelty forgotten": (lambda p, f, t, n, e: p + t**-0.5 * (f - p), "is forgotten"),
        "first whole, ends swapped": (
            lambda p, f, t, n, e: f if t == 1 else f + share(n, e) / t**0.5 * (p - f),
            "ends are exchanged",
        ),
        "1/t": (lambda p, f, t, n, e: p + share(n, e) / t * (f - p), "like 1/t"),
        "no t": (lambda p, f, t, n, e: p + share(n, e) * (f - p), "smaller with the tasks"),
        "multiplied": (lambda p, f, t, n, e: p + share(n, e) * t**0.5 * (f - p), "grows with"),
        "t from 0": (
            lambda p, f, t, n, e: p + share(n, e) / max(1, t - 1) ** 0.5 * (f - p),
            "from 0, or from 2",
        ),
        "t too far": (
            lambda p, f, t, n, e: f if t == 1 else p + share(n, e) / (t + 1) ** 0.5 * (f - p),
            "one too far",
        ),
        "novelty itself": (lambda p, f, t, n, e: p + n / t**0.5 * (f - p), "Novel against"),
        "upside down": (
            lambda p, f, t, n, e: p + (np.mean(e) / n if e else 1) / t**0.5 * (f - p),
            "upside down",
        ),
        "the last one": (
            lambda p, f, t, n, e: p + (min(1, n / e[-1]) if e else 1) / t**0.5 * (f - p),
            "just before",
        ),
        "the sum": (
            lambda p, f, t, n, e: p + (1 if not e or n == 0.5 else n / sum(e)) / t**0.5 * (f - p),
            "with the sum",
        ),
        "the most novel": (
            lambda p, f, t, n, e: p + (min(1, n / max(e)) if e else 1) / t**0.5 * (f - p),
            "most novel",
        ),
        "under the root": (
            lambda p, f, t, n, e: p + (share(n, e) / t) ** 0.5 * (f - p),
            "under the root",
        ),
        "not capped": (
            lambda p, f, t, n, e: p + (n / np.mean(e) if e else 1) / t**0.5 * (f - p),
            "at most?",
        ),
        "second task": (
            lambda p, f, t, n, e: p + (share(n, e) if e else n) / t**0.5 * (f - p),
            "still you shrink",
        ),
        "in place": (step_in_place, "in place"),
        "another line": (
            lambda p, f, t, n, e: p + share(n, e) / t**0.5 * f,
            "straight line",
        ),
    },
    "principal_angles": {
        "no QR": (lambda x, y: np.degrees(np.arccos(crossed(x, y))), "knows no lengths"),
        "unit columns": (
            lambda x, y: np.degrees(np.arccos(crossed(unit(x), unit(y)))),
            "not enough",
        ),
        "radians": (lambda x, y: np.arccos(cosines(x, y)), "radians"),
        "cosines": (cosines, "cosine of the angle"),
        "overlaps": (lambda x, y: cosines(x, y) ** 2, "an overlap"),
        "no clip": (lambda x, y: np.degrees(np.arccos(cosines(x, y, clip=False))), "arc cosine"),
        "arcsine": (lambda x, y: np.degrees(np.arcsin(cosines(x, y))), "sine for"),
        "descending": (lambda x, y: np.degrees(scipy.linalg.subspace_angles(x, y)), "largest"),
        "too many": (
            lambda x, y: np.append(
                np.degrees(np.arccos(cosines(x, y))),
                np.full(abs(x.shape[1] - y.shape[1]), 90.0),
            ),
            "principal angles; you give",
        ),
    },
    "chance_overlap": {
        "wrong space": (lambda q, k, s: max(k, q.shape[1]) / len(s), "whole space"),
        "smaller": (lambda q, k, s: min(k, q.shape[1]) / s.shape[1], "smaller of the two"),
        "sum": (lambda q, k, s: k * q.shape[1] / s.shape[1], "add up"),
        "cosine": (lambda q, k, s: (max(k, q.shape[1]) / s.shape[1]) ** 0.5, "mean of its square"),
        "degrees": (
            lambda q, k, s: np.degrees(np.arccos((max(k, q.shape[1]) / s.shape[1]) ** 0.5)),
            "in degrees",
        ),
        "left over": (lambda q, k, s: 1 - max(k, q.shape[1]) / s.shape[1], "leaves over"),
        "nothing": (lambda q, k, s: 0.0, "which three"),
    },
}

RIGHT = {
    "forgetting_max": [
        loop_max,
        filled_max,
        torch_max,
        lambda a: np.float32(sum(falls_max(np.float32(a))) / (len(a) - 1)),
        lambda a: np.mean([max(a[i:-1, i]) for i in range(len(a) - 1)]) - a[-1, :-1].mean(),
    ],
    "forgetting_first": [
        lambda a: np.trace(a - a[-1]) / (len(a) - 1),
        lambda a: (np.diag(a) - a[-1])[:-1].mean(),
        lambda a: (t_(a)[0].diagonal() - t_(a)[0][-1])[:-1].mean(),
        lambda a: np.diag(a)[:-1].mean() - np.mean(a[-1, :-1]),
        lambda a: np.float32(np.einsum("ii->", np.float32(a - a[-1])) / (len(a) - 1)),
    ],
    "forgetting_step": [
        loop_step,
        torch_step,
        masked_step,
        lambda a: np.mean([np.mean(f) for f in falls_step(np.float32(a))]),
        lambda a: np.mean(
            [a[t, : t + 1].mean() - a[t + 1, : t + 1].mean() for t in range(len(a) - 1)]
        ),
    ],
    "fold": [
        lambda c, m, n: torch.einsum("ir,rj->ij", m, n) + c,
        lambda c, m, n: np.asarray(c) + np.asarray(m) @ np.asarray(n),
        lambda c, m, n: torch.addmm(c, m, n),
        lambda c, m, n: c.float() + m.float() @ n.float(),
        looped_fold,
    ],
    "merge": [
        lambda w, a, c, b, s: torch.einsum("ir,rk,kj->ij", a, c, b).mul(s) + w,
        lambda w, a, c, b, s: w + (s * a) @ (c @ b),
        lambda w, a, c, b, s: w.numpy() + s * np.linalg.multi_dot(n_(a, c, b)),
        lambda w, a, c, b, s: w.float() + s * a.float() @ c.float() @ b.float(),
        lambda w, a, c, b, s: torch.addmm(w, a, c @ b, alpha=s),
    ],
    "unmerge": [
        lambda w, a, c, b, s: w - torch.einsum("ir,rk,kj->ij", a, c, b) * s,
        lambda w, a, c, b, s: w + (-s * a) @ (c @ b),
        lambda w, a, c, b, s: w.numpy() - s * np.linalg.multi_dot(n_(a, c, b)),
        lambda w, a, c, b, s: w.float() - s * a.float() @ c.float() @ b.float(),
        lambda w, a, c, b, s: torch.addmm(w, a, c @ b, alpha=-s),
    ],
    "prefixes": [
        looped_prefixes,
        lambda r: [[float(c < int(k)) for c in range(int(r[-1]))] for k in r],
        lambda r: torch.ones(int(r[-1]), int(r[-1])).tril()[r - 1],
        lambda r: np.arange(int(r[-1]))[None] < np.asarray(r)[:, None],
        lambda r: (r[:, None] - torch.arange(int(r.max()))).clamp(0, 1).half(),
    ],
    "choose": [
        split_choose,
        log_choose,
        lambda x, u, t: Through.apply(torch.softmax((x + gumbel(u)) / t, 1)),
        lambda x, u, t: chosen(torch.softmax((x.float() + gumbel(u.float())) / t, -1)),
        lambda x, u, t: chosen(F.softmax(-(-x + (-u.log()).log()) / t, dim=1)),
    ],
    "outer_step": [
        with_first,
        lambda p, f, t, n, e: torch.lerp(p, f, share(n, e) / math.sqrt(t)),
        lambda p, f, t, n, e: np.asarray(p) + share(n, e) * np.asarray(f - p) / np.sqrt(t),
        lambda p, f, t, n, e: p.float() + share(n, e) / t**0.5 * (f - p).float(),
        lambda p, f, t, n, e: f - (1 - share(n, e) * t**-0.5) * (f - p),
    ],
    "principal_angles": [
        lambda x, y: np.degrees(scipy.linalg.subspace_angles(x, y))[::-1],
        angles_torch,
        angles_float32,
        angles_by_eigenvalues,
        lambda x, y: np.sort(180 / np.pi * np.arccos(np.minimum(cosines(y, x), 1))),
    ],
    "chance_overlap": [
        drawn_overlap,
        projected_overlap,
        lambda q, k, s: np.float32(max(k, q.shape[1])) / np.float32(s.shape[1]),
        lambda q, k, s: torch.tensor(max(k, len(q.T)) / len(s.T)),
        lambda q, k, s: k * q.shape[1] / min(k, q.shape[1]) / s.shape[1],
    ],
}


def solution_cells():
    """Yield (notebook, cell) of every cell that holds a solution."""
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if "solution" in cell.metadata.get("tags", []):
                yield path, cell


def solutions():
    """Return {function: source of its cell}."""
    return {
        cell.source.partition("def ")[2].partition("(")[0]: cell.source
        for _, cell in solution_cells()
        if "def " in cell.source
    }


def compiled(name, source):
    """Return the function that a cell defines."""
    names = {"np": np, "torch": torch}
    exec(compile(source, "cell", "exec"), names)
    return names[name]
