"""Numbers that need the live model: truncated ranks, swapped prompts, features.

Each function rebuilds its model from a record and hands plain arrays on, as the values that
`analysis` defines. Only programs and notebooks import this room.
"""

from fmlora_kit.extraction.features import features_now, features_over_time
from fmlora_kit.extraction.prompts import swap_prompts
from fmlora_kit.extraction.truncation import truncate_ranks

__all__ = ["features_now", "features_over_time", "swap_prompts", "truncate_ranks"]
