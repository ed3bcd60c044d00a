"""A missing OpenCV is one clear message, where something is drawn and nowhere else."""

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from nonlocal_det.data.opencv import import_cv2
from nonlocal_det.synthetic.mini_coco import make_mini_coco


@pytest.mark.parametrize(
    "reason", ["No module named 'cv2'", "libGL.so.1: cannot open shared object file"]
)
def test_a_missing_opencv_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    original = builtins.__import__

    def without_cv2(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "cv2":
            raise ImportError(reason)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_cv2)
    with pytest.raises(ImportError) as error:
        import_cv2()
    assert reason in str(error.value)
    assert "pip install opencv-python-headless" in str(error.value)


def test_drawing_without_opencv_fails_clearly_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="opencv-python-headless"):
        make_mini_coco(tmp_path, num_train=1, num_val=1)
    assert list(tmp_path.iterdir()) == []
