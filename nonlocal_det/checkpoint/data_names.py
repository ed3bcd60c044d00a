"""The names of classes and keypoints that weights were trained with, and those of the data."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from torch import Tensor, nn

from nonlocal_det.named_outputs import named_keys, reorder_outputs

from .errors import CheckpointError

logger = logging.getLogger("nonlocal_det")

Names = dict[str, list[str]]
"""By key of a data set's metadata, as ``thing_classes``, the names in order of their indices."""

KEY = "data_names"
"""Where a checkpoint has them."""
NAMED = ("thing_classes", "keypoint_names")
"""The keys of metadata whose names belong to weights."""
_SHOWN = 5


def names_of_data(datasets: Sequence[str], *, read: bool = False) -> Names:
    """Collect the names that the metadata of data sets has.

    Args:
        datasets: names of registered data sets, which must agree.
        read: read a data set whose classes are only named then.

    Raises:
        ValueError: two data sets have different names, or another order.
    """
    names: Names = {}
    for dataset in datasets:
        if read and not MetadataCatalog.get(dataset).get("thing_classes", None):
            DatasetCatalog.get(dataset)
        metadata = MetadataCatalog.get(dataset)
        for key in NAMED:
            own = list(map(str, metadata.get(key, None) or ()))
            if own and names.setdefault(key, own) != own:
                raise ValueError(
                    f"data sets {datasets[0]!r} and {dataset!r} have other {key} "
                    f"({_differences(names[key], own)}); use them in runs apart"
                )
    return names


def read_names(content: Any, source: str) -> Names:
    """Check the names that a checkpoint has; none where ``content`` is None.

    Raises:
        CheckpointError: it is something else.
    """
    if content is None:
        return {}
    if not isinstance(content, Mapping) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in content.values()
    ):
        raise CheckpointError(f"{source}: {KEY} is {content!r:.80}; expected lists of names")
    return dict(content)


def fit_names(
    model: nn.Module,
    state: dict[str, Tensor],
    weights: Names,
    data: Names,
    *,
    source: str,
    resuming: bool = False,
    refuse: str = "",
) -> None:
    """Put the channels of weights into the order of the data's names, where these are the same.

    Args:
        model: whose layers these are.
        state: the weights, by the model's names; changed in place.
        weights: the names that they were trained with.
        data: the names of the data.
        source: the file of the weights, for messages.
        resuming: the state of an optimizer comes with the weights, so no channel may move.
        refuse: the cure, where other names are an error; "": they are logged.

    Raises:
        ValueError: the names are others, or cannot be put into order.
    """
    for key in named_keys(model):
        old, new = weights.get(key), data.get(key)
        if not old or not new or old == new:
            continue
        problem = "a training cannot be continued in another order"
        if sorted(old) == sorted(new) and len(set(old)) == len(old) and not resuming:
            try:
                layers = reorder_outputs(model, state, key, [old.index(name) for name in new])
            except ValueError as error:
                problem = str(error)
            else:
                logger.warning(
                    f"{source} has the {key} of the data in another order "
                    f"({_differences(old, new)}): put into the data's in {', '.join(layers)}"
                )
                continue
        elif sorted(old) != sorted(new):
            problem = "its channels mean something else"
        text = f"{source} was trained with other {key} ({_differences(old, new)}): {problem}"
        if refuse:
            raise ValueError(f"{text}; {refuse}")
        logger.warning(f"{text}; the weights are used as they are")


def _differences(old: Sequence[str], new: Sequence[str]) -> str:
    if sorted(old) == sorted(new):
        places = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        pairs = ", ".join(f"{a!r} now {b!r}" for a, b in places[:_SHOWN])
        return f"{pairs}{', ...' * (len(places) > _SHOWN)}"
    kinds = {
        "only in the first": [name for name in old if name not in set(new)],
        "only in the second": [name for name in new if name not in set(old)],
    }
    parts = [
        f"{kind}: {', '.join(map(repr, names[:_SHOWN]))}{', ...' * (len(names) > _SHOWN)}"
        for kind, names in kinds.items()
        if names
    ]
    return "; ".join(parts) or f"{len(old)} and {len(new)} of them"
