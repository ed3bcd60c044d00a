"""AlexHex7's Non-local_pytorch, of which many projects have a copy: ``W.0``, ``g.0``, ``theta``."""

from .conversion import Source
from .resnet import inside

ALEXHEX7 = Source(
    project="AlexHex7's Non-local_pytorch",
    layers={
        **{"theta": "theta", "phi": "phi", "phi.0": "phi", "g": "g", "g.0": "g"},
        **{"W": "w_z", "W.0": "w_z", "W.1": "norm", "concat_project.0": "w_f"},
    },
    place=inside("a user of AlexHex7's code"),
    subsample=None,
    pooled=("g.0",),
    notes=(
        "that code pools without the last row and column of an odd map, ours with them: equal "
        "where both sides are even",
        "embedded_gaussian and dot_product have the same names; give --pairwise dot_product for "
        "the second",
    ),
)
