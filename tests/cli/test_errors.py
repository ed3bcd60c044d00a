from urllib.error import URLError

import pytest

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.layers import NonLocal


def test_our_own_errors_are_shown_in_a_line():
    with (
        pytest.raises(SystemExit, match="error: pairwise='x' .*expected one of"),
        one_line_errors(),
    ):
        NonLocal(8, pairwise="x")


def test_errors_from_elsewhere_keep_their_traceback():
    with pytest.raises(ValueError, match="invalid literal"), one_line_errors():
        int("x")


def test_a_download_that_fails_says_what_to_give():
    with pytest.raises(SystemExit, match="not known.*MODEL.WEIGHTS"), one_line_errors():
        raise URLError("Name or service not known")
