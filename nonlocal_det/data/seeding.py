"""Seed random generators from what a draw is for, so that a resumed training draws the same.

Each draw depends on numbers only, such as the seed and an image's or step's number, not on the
draws before it.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

SAMPLER, SAMPLE, STEP, VALIDATION = range(4)
"""What a draw is for; the second number of a key."""


def _seeds(key: tuple[int, ...]) -> tuple[int, int, int]:
    words = [int(word) for word in np.random.SeedSequence(key).generate_state(4)]
    return words[0], words[1], words[2] << 32 | words[3]


def seed_everything(*key: int) -> None:
    """Seed the generators of python, numpy and torch, on all devices.

    Args:
        key: numbers of 0 and more; the draws of different keys are independent.
    """
    python, numpy, everywhere = _seeds(key)
    random.seed(python)
    np.random.seed(numpy)
    torch.manual_seed(everywhere)


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed the CPU's generators inside, and restore their states afterwards.

    Args:
        key: as `seed_everything`.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    python, numpy, cpu = _seeds(key)
    random.seed(python)
    np.random.seed(numpy)
    torch.default_generator.manual_seed(cpu)  # torch.manual_seed would reach the GPU's too
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
