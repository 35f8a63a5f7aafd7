"""What takes a live model and hands plain arrays on: features, attributions, swaps, truncations.

Functions that look over time rebuild the model from a record, moment by moment; the values that
they give are defined in `fmlora_kit.analysis`. Attributions (captum) say which pixels a score rests
on: each takes a `fmlora_kit.methods.Method`, uint8 images and target classes, and gives maps
(n, height, width). The score is the head's logit of the target class, attributed to the normalised
pixels, in the model's own precision. The model is left as it was: no gradient, hook or flag stays.
`attribute` takes the method by its name; the methods themselves are in `gradients`, `cam` and
`rollout`.
"""

from fmlora_kit.probes.attribution import attribute, explain_over_time
from fmlora_kit.probes.features import features_now, features_over_time
from fmlora_kit.probes.prompts import swap_prompts
from fmlora_kit.probes.truncation import truncate_ranks

__all__ = [
    "attribute",
    "explain_over_time",
    "features_now",
    "features_over_time",
    "swap_prompts",
    "truncate_ranks",
]
