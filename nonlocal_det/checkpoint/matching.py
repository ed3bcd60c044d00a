"""Which tensor of a file belongs to which of a model, where names or kernels differ."""

from collections.abc import Mapping

from torch import Tensor


def match_names(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give a file's tensors the names of the model's: those that end in the file's names.

    The rule is that of Detectron2's ``matching_heuristics``: of several names of the file that end
    the model's name, the longest counts.

    Args:
        wanted: the model's tensors by name.
        state: the file's.

    Returns:
        All tensors of the file; what no name of the model ends in keeps its own.

    Raises:
        ValueError: one of them fits two tensors of the model.
    """
    owners: dict[str, list[str]] = {}
    for name in wanted:
        words = name.split(".")
        endings = (".".join(words[k:]) for k in range(len(words)))
        match = next((ending for ending in endings if ending in state), None)
        if match is not None:
            owners.setdefault(match, []).append(name)
    renamed = {}
    for name, value in state.items():
        names = owners.get(name, [name])
        fitting = [owner for owner in names if fits(value, wanted.get(owner, value))]
        if len(fitting) > 1:
            raise ValueError(
                f"the file's {name} fits {fitting[0]} and {fitting[1]} of the model; give weights "
                "with the model's own names"
            )
        renamed[(fitting or names)[0]] = value
    return renamed


def fits(value: Tensor, wanted: Tensor) -> bool:
    """Tell whether a tensor can be loaded: the shapes are equal, or it can be inflated."""
    return value.shape == wanted.shape or is_plane_of(value, wanted)


def is_plane_of(value: Tensor, wanted: Tensor) -> bool:
    """Tell whether a 2D kernel (O, I, H, W) has the other sides of a 3D one (O, I, T, H, W)."""
    sides = tuple(wanted.shape)
    return value.dim() == 4 and len(sides) == 5 and tuple(value.shape) == sides[:2] + sides[3:]


def inflate_kernels(wanted: Mapping[str, Tensor], state: dict[str, Tensor]) -> list[str]:
    """Make 3D kernels of a file's 2D ones where the model has such: w / T in each of T planes.

    *Source*: Wang et al., Non-local Neural Networks, Sec. 4.1. On input that is the same along the
    new axis, the inflated kernel gives what the 2D one does, but for the padding at the ends.

    Args:
        wanted: the model's tensors by name.
        state: the file's, by the same names; changed in place.

    Returns:
        The names of those that were inflated.
    """
    names = [n for n, value in state.items() if n in wanted and is_plane_of(value, wanted[n])]
    for name in names:
        planes = wanted[name].shape[2]
        # (O, I, H, W) -> (O, I, T, H, W)
        state[name] = (state[name] / planes).unsqueeze(2).repeat(1, 1, planes, 1, 1)
    return names
