"""The one place that imports OpenCV, which has two package names and fails in two ways."""

from types import ModuleType


def import_cv2() -> ModuleType:
    """Import OpenCV, or say in one message how to get it.

    Returns:
        The module `cv2`.

    Raises:
        ImportError: no OpenCV is installed, or opencv-python is installed on a machine without a
            display, where its libGL.so.1 is missing.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"cannot import cv2 ({error}), which draws the pictures. "
            "Cure: pip install opencv-python-headless "
            "(if opencv-python is installed and a library such as libGL.so.1 is missing, "
            "first: pip uninstall -y opencv-python)"
        ) from error
    return cv2
