"""What a method says of itself in words, for the record's run card.

The words are for people. A later version may put them better: nothing compares them. Which keys of
the configuration are such words, and which are options, `fmlora_kit.record.card` declares.
"""

NOTHING = "nothing"
CURRENT_ONLY = "yes: only the current task's classes compete (local cross-entropy)"
NO_LOSS = "no loss: nothing is trained by gradient"
ALL_SEEN = "arg-max over all classes seen so far; no task identity"
_AFTERWARDS = "rows start at class means; after each task all rows are set"
HEAD_ROWS = {
    "cosine": "rows of new classes start at class means",
    "linear": "rows of new classes start at zero",
    "lda": f"{_AFTERWARDS} from class means and one shared covariance",
    "mda": f"{_AFTERWARDS} from the means of each class's modes and one shared covariance",
    "ridge": f"{_AFTERWARDS} by ridge regression on random projections of features",
}
HEAD_STORES = {
    "lda": "class means, class counts and one scatter matrix",
    "mda": "means and counts of each class's modes and one scatter matrix",
    "ridge": "the Gram matrix of projected features and their sum per class",
}
