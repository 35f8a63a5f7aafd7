"""What each task added to every adapted map, in factored form: dW_t = U V, of rank at most k.

FM-LoRA: s A M_t N_t B. LoRA trained on task after task: s (A_t B_t - A_{t-1} B_{t-1}), zero before
the first. Shapes: U (d_out, k), V (k, d_in).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record, index_of
from fmlora_kit.record import Record

SIDES = ("output", "input")


@dataclass(frozen=True, eq=False)
class Update:
    """What one task added to one adapted map.

    Attributes:
        left: U, (d_out, k); its columns span the outputs that the update can change.
        right: V, (k, d_in); its rows span the inputs that the update looks at.
    """

    left: np.ndarray
    right: np.ndarray

    @property
    def dense(self) -> np.ndarray:
        """(d_out, d_in) the update as one matrix."""
        return self.left @ self.right

    @property
    def energy(self) -> float:
        """|dW|_F^2, the sum of the squared singular values."""
        return self.inner(self)

    def inner(self, other: Update) -> float:
        """Frobenius inner product <dW, dW'>, without building either matrix."""
        return float(np.sum((self.left.T @ other.left) * (self.right @ other.right.T)))

    def svd(self, tolerance: float = 1e-6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Singular value decomposition, as far as the numerical rank k.

        Args:
            tolerance: singular values up to this share (0..1) of the largest count as zero.

        Returns:
            (d_out, k) left singular vectors, (k,) singular values from the largest down, and
            (d_in, k) right singular vectors. Signs of vectors are arbitrary.
        """
        checks.number("tolerance", tolerance, 0, below=1)
        if not self.left.shape[1]:
            return self.left, np.zeros(0), self.right.T
        q_left, r_left = np.linalg.qr(self.left)
        q_right, r_right = np.linalg.qr(self.right.T)
        u, values, v = np.linalg.svd(r_left @ r_right.T, full_matrices=False)
        k = int(np.sum(values > tolerance * values[0]))
        return q_left @ u[:, :k], values[:k], q_right @ v[:k].T


def task_updates(record: Record) -> tuple[tuple[Update, ...], ...]:
    """The updates of every finished task, [task][layer], layers as in `record.layers`.

    Raises:
        ValueError: the record's method makes no low-rank updates, or the record lacks them.
    """
    return tuple(updates_of(record, t) for t in range(len(check_updates(record).tasks)))


def check_updates(record: Record) -> Record:
    """The record, if its method makes low-rank updates; else ValueError."""
    if check_record(record).method not in _READERS:
        raise ValueError(
            f"record must be of a method with low-rank updates, one of {tuple(_READERS)}, "
            f"got {record.method!r}"
        )
    return record


def updates_of(record: Record, t: int, layers: Iterable[int] | None = None) -> tuple[Update, ...]:
    """The updates of one finished task, by its number from 0, on some layers, by theirs; or on all.

    See `task_updates`.
    """
    read = _READERS[check_updates(record).method]
    layers = range(len(record.layers)) if layers is None else tuple(layers)
    try:
        row = tuple(read(record, t, record.layers[k]) for k in layers)
    except KeyError as error:
        raise ValueError(
            f"record of {record.method!r} must hold {error.args[0]!r} to give its updates, "
            "got a record without it"
        ) from error
    for k, update in zip(layers, row, strict=True):
        if not (np.isfinite(update.left).all() and np.isfinite(update.right).all()):
            where = f"{record.layers[k]} after {checks.shown(record.tasks[t].name)}"
            raise ValueError(f"record must have finite updates, got NaN or infinity in {where}")
    return row


def shared_bases(record: Record) -> tuple[tuple[np.ndarray, np.ndarray], ...] | None:
    """Per layer A (d_out, R) and B (R, d_in), which all updates of FM-LoRA share; else None.

    A has orthonormal columns and B orthonormal rows, so that angles between updates are the same
    inside the core and in the whole space.
    """
    check_record(record)
    if _READERS.get(record.method) is not _folded_pair or not record.tasks:
        return None
    state = record.tasks[0].state
    return tuple((state[f"{layer}.a"], state[f"{layer}.b"]) for layer in record.layers)


def core_energy(record: Record) -> np.ndarray:
    """(tasks finished, L) energy of all updates so far together, |sum_{i<=t} dW_i|_F^2.

    For FM-LoRA this is |s C_t|_F^2, the energy of the shared core, since A and B are orthonormal.
    """
    table = task_updates(record)
    energy = np.zeros((len(table), len(record.layers)))
    for k in range(len(record.layers)):
        total = 0.0
        for t, row in enumerate(table):
            total = total + row[k].dense
            energy[t, k] = np.sum(total**2)
    return energy


def update_energy(record: Record) -> np.ndarray:
    """(tasks finished, L) energy |dW_t|_F^2 of each task's own update."""
    return np.array([[update.energy for update in row] for row in task_updates(record)])


def share_in_bases(update: Update, a: np.ndarray, b: np.ndarray) -> float:
    """|A A^T dW B^T B|_F^2 / |dW|_F^2: how much of an update two orthonormal bases can express.

    A (d_out, R) has orthonormal columns, B (R, d_in) orthonormal rows. A fraction;
    R^2 / (d_out d_in) is what random bases give on average. NaN for no update.
    """
    energy = update.energy
    inside = Update(a.T @ update.left, update.right @ b.T).energy
    return inside / energy if energy > 0 else float("nan")


def share_in_factors(record: Record, side: str = "output") -> np.ndarray:
    """How much of each update of sequential LoRA stays in the directions its factors had before.

    Share of |dW_t|_F^2 in the span of A_{t-1} (output) or of the rows of B_{t-1} (input). LoRA goes
    on from the factors it has, so that later updates resemble earlier ones for this reason alone.
    Only for methods that train one pair A, B over all tasks.

    Returns:
        (tasks finished, L) fractions; NaN for the first task, and where a task changed nothing.
    """
    checks.choice("side", side, SIDES)
    table = task_updates(record)
    if _READERS[record.method] is not _difference:
        raise ValueError(f"record must be of LoRA with one pair A, B, got {record.method!r}")
    share = np.full((len(record.tasks), len(record.layers)), np.nan)
    for t in range(1, len(record.tasks)):
        before = record.tasks[t - 1].state
        for k, layer in enumerate(record.layers):
            factor = before[f"{layer}.a"] if side == "output" else before[f"{layer}.b"].T
            u, s, v = table[t][k].svd()
            if len(s):
                seen = np.linalg.qr(factor).Q.T @ (u if side == "output" else v)
                share[t, k] = np.average(np.sum(seen**2, axis=0), weights=s**2)
    return share


def core_changes(record: Record, layer: int | str) -> np.ndarray:
    """(tasks finished, R, R) what each task added to the core of one layer, s M_t N_t.

    Their sum is the core: C_T. Rows are output directions (columns of A), columns input directions
    (rows of B).
    """
    k = index_of(layer, check_record(record).layers, "layer")
    table = task_updates(record)
    bases = shared_bases(record)
    if bases is None:
        raise ValueError(f"record must be of a method with a shared core, got {record.method!r}")
    a, b = bases[k]
    return np.stack([(a.T @ row[k].left) @ (row[k].right @ b.T) for row in table])


def _folded_pair(record: Record, t: int, layer: str) -> Update:
    options, first = record.config["method"]["flora"], record.tasks[0].state
    rank = options["max_rank"]
    scale = (rank if options["alpha"] is None else options["alpha"]) / rank
    a, b, state = first[f"{layer}.a"], first[f"{layer}.b"], record.tasks[t].state
    return Update(scale * a @ state[f"{layer}.m"], state[f"{layer}.n"] @ b)


def _difference(record: Record, t: int, layer: str) -> Update:
    scale = record.config["method"]["alpha"] / record.config["method"]["rank"]
    a, b = (record.tasks[t].state[f"{layer}.{part}"] for part in "ab")
    if t == 0:
        return Update(scale * a, b)
    a_before, b_before = (record.tasks[t - 1].state[f"{layer}.{part}"] for part in "ab")
    if np.array_equal(a, a_before) and np.array_equal(b, b_before):  # nothing was trained
        return Update(a[:, :0], b[:0])
    return Update(scale * np.hstack([a, -a_before]), np.vstack([b, b_before]))


_READERS: dict[str, Callable[[Record, int, str], Update]] = {
    "fmlora": _folded_pair,
    "sequential_lora": _difference,
    "first_task_lora": _difference,
    "ranpac": _difference,
    "joint": _difference,
}
