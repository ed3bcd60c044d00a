"""How tools show errors: in a line where this package meant it, in full where it did not."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error that this package raised on purpose into ``error: ...`` and exit status 1.

    An error that comes from anywhere else keeps its traceback: nobody has written its message for
    the user. A download that fails, as of the weights that a config starts from, is one line too.

    Raises:
        SystemExit: for a ValueError, OSError or ImportError raised by this package, or a URLError.
    """
    try:
        yield
    except URLError as error:
        raise SystemExit(
            f"error: a download failed ({error.reason}); give MODEL.WEIGHTS a local file, or "
            "'' to start from random weights"
        ) from None
    except (ValueError, OSError, ImportError) as error:
        if getattr(error, "name", None):  # an import statement, without a message of ours
            raise
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").split(".")[0] != "nonlocal_det":
            raise
        raise SystemExit(f"error: {error}") from None
