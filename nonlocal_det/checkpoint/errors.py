"""What can be wrong with a checkpoint, apart: to be set aside, or to be refused."""


class CheckpointError(ValueError):
    """A checkpoint could not be written, or there is none that can be used."""


class DamagedError(CheckpointError):
    """A file is not what was written: cut off, changed, empty or no checkpoint at all."""


class RefusedError(CheckpointError):
    """A file asks for more than data, or for more memory than its own size can fill."""


CURE = (
    "it is not loaded, since loading it could run any program; if you trust who made it as much "
    "as a program of theirs, load it with --trust-checkpoint"
)
