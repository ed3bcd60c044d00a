"""The drawn data set without a fault."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from good_data import GoodData

from nonlocal_det.synthetic.register import forget


@pytest.fixture
def good(tmp_path: Path) -> Iterator[GoodData]:
    yield GoodData(tmp_path / "data")
    forget("damaged")
