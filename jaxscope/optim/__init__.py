"""What optax lacks for names: masks by pattern, losses and constraints of specs, norms, TF1's slots."""

from jaxscope.optim.adam import tf1_adam
from jaxscope.optim.by_scope import norms
from jaxscope.optim.constraining import constrain, project
from jaxscope.optim.constraints import clip, max_norm, non_neg, unit_norm
from jaxscope.optim.from_tf1 import from_tf1_slots
from jaxscope.optim.losses import regularization_loss
from jaxscope.optim.matching import match
from jaxscope.optim.to_tf1 import tf1_slots

__all__ = [
    "clip",
    "constrain",
    "from_tf1_slots",
    "match",
    "max_norm",
    "non_neg",
    "norms",
    "project",
    "regularization_loss",
    "tf1_adam",
    "tf1_slots",
    "unit_norm",
]
