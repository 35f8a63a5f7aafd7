"""Attribution: which pixels a model's score rests on, from live models (captum) to plain arrays.

Every function takes a `fmlora_kit.methods.Method`, uint8 images and target classes, and gives maps
(n, height, width). The score is the head's logit of the target class, attributed to the normalised
pixels, in the model's own precision. The model is left as it was: no gradient, hook or flag stays.
"""

from fmlora_kit.attribution.cam import grad_cam
from fmlora_kit.attribution.gradients import integrated_gradients, saliency
from fmlora_kit.attribution.rollout import attention_rollout
from fmlora_kit.attribution.time import attribute, over_time

__all__ = [
    "attention_rollout",
    "attribute",
    "grad_cam",
    "integrated_gradients",
    "over_time",
    "saliency",
]
