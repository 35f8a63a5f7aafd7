"""What a method says of itself in words, for the record's run card.

The words are for people. A later version may put them better: nothing compares them. Which keys of
the configuration are such words, and which are options, `fmlora_kit.record.card` declares.
"""

from __future__ import annotations

from typing import Protocol

NOTHING = "nothing"
CURRENT_ONLY = "yes: only the current task's classes compete (local cross-entropy)"
NO_LOSS = "no loss: nothing is trained by gradient"
ALL_SEEN = "arg-max over all classes seen so far; no task identity"
_AFTERWARDS = "rows start at class means; after each task all rows are set"
HEAD_ROWS = {
    "cosine": "rows of new classes start at class means",
    "linear": "rows of new classes start at zero",
    "lda": f"{_AFTERWARDS} from class means and one shared covariance",
    "ridge": f"{_AFTERWARDS} by ridge regression on random projections of features",
}
HEAD_STORES = {
    "lda": "class means, class counts and one scatter matrix",
    "ridge": "the Gram matrix of projected features and their sum per class",
}


class CardedMethod(Protocol):
    """What `words` asks of a method; see `Method` for what they mean."""

    trained: str
    frozen: str
    stores: str
    masked: str
    tested: str
    head_rows: str


def words(method: CardedMethod, head: str) -> dict[str, str]:
    """What is trained, frozen, kept and compared, for a method with this kind of head.

    Args:
        method: in words.
        head: one of `adapters.head.HEADS`.
    """
    kept = [method.stores, HEAD_STORES.get(head, NOTHING)]
    kept = [what for what in kept if what != NOTHING]
    return {
        "trained": method.trained,
        "frozen": method.frozen,
        "stores": "; ".join(kept) or NOTHING,
        "masked": method.masked,
        "tested": method.tested,
        "head_rows": method.head_rows or HEAD_ROWS[head],
    }
