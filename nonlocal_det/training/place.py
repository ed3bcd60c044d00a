"""Where a process stands among those of a training; torchrun says it in the environment."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One process among all.

    Args:
        rank: 0 to world_size - 1.
        world_size: processes on all machines.
        local_rank: from 0 on this machine; with CUDA, the GPU.
        machine: a name that the processes of one machine share.
    """

    rank: int
    world_size: int
    local_rank: int
    machine: str

    def __str__(self) -> str:
        """As messages name it."""
        return f"process {self.rank} of {self.world_size}"


def place_from_environment(environ: Mapping[str, str] | None = None) -> Place | None:
    """Read the place that torchrun, or another launcher in its manner, has given this process.

    Args:
        environ: by default this process's.

    Returns:
        None outside such a launcher, also where a container says that it is the only process.

    Raises:
        ValueError: a variable is missing or is not the number it should be.
    """
    environ = os.environ if environ is None else environ
    by_torchrun = "TORCHELASTIC_RUN_ID" in environ
    if not by_torchrun and not {"RANK", "WORLD_SIZE"} <= environ.keys():
        return None
    world_size = _number(environ, "WORLD_SIZE", minimum=1)
    if world_size == 1 and not by_torchrun:
        return None
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not environ.get(name):
            raise ValueError(_missing(name))
    rank = _number(environ, "RANK", minimum=0)
    if rank >= world_size:
        raise ValueError(
            f"RANK={rank} and WORLD_SIZE={world_size}: expected a rank from 0 to {world_size - 1}; "
            "start with torchrun, which sets both"
        )
    return Place(
        rank=rank,
        world_size=world_size,
        local_rank=_number(environ, "LOCAL_RANK", minimum=0),
        # two machines of torchrun can be one host; other launchers do not number theirs
        machine=environ.get("GROUP_RANK") or socket.gethostname(),
    )


def _missing(name: str) -> str:
    return (
        f"{name} is not set, but others of torchrun's variables are: start with torchrun, which "
        "sets all, or unset RANK and WORLD_SIZE to train without it"
    )


def _number(environ: Mapping[str, str], name: str, minimum: int) -> int:
    text = environ.get(name, "")
    if not text:
        raise ValueError(_missing(name))
    if not text.isdecimal() or int(text) < minimum:
        raise ValueError(
            f"{name}={text!r}: expected a whole number from {minimum}; start with torchrun, which "
            "sets it, or unset RANK and WORLD_SIZE to train without it"
        )
    return int(text)
