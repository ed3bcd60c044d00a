"""What every test shares: a fixed seed, and one thread (small tensors gain nothing from more)."""

import pytest
import torch

from nonlocal_det.data.validate.remembering import FOLDER

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """No test writes into the user's cache folder, nor do the processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(tmp_path_factory.mktemp("cache")))
        yield
