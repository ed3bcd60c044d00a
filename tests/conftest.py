"""What every test shares: a fixed seed, and one thread (small tensors gain nothing from more)."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)
