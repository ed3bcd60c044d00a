"""A local web page on which trained models are explored: click a picture, see where blocks look.

Needs NiceGUI (``pip install 'nonlocal_det[explore]'``) when the page is served, and not before.
"""

from .explorer import Explorer, LookOptions, Pick, Seen
from .figures import sheet_of
from .models import ExplorerModel
from .uploads import UploadLimits, read_upload

__all__ = [
    "Explorer",
    "ExplorerModel",
    "LookOptions",
    "Pick",
    "Seen",
    "UploadLimits",
    "read_upload",
    "sheet_of",
]
