"""A local web page on which trained models are explored: click a picture, see the attention.

Needs NiceGUI (``pip install 'nonlocal_det[explore]'``) when the page is served, and not before.
"""

from .explorer import Explorer, ExplorerModel, MapOptions, Pick, Prediction, VideoModel
from .figures import draw_sheet
from .uploads import UploadLimits, read_upload

__all__ = [
    "Explorer",
    "ExplorerModel",
    "MapOptions",
    "Pick",
    "Prediction",
    "UploadLimits",
    "VideoModel",
    "draw_sheet",
    "read_upload",
]
