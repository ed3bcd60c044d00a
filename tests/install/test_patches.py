"""The patches apply exactly, and what they leave out says so."""

import runpy
from pathlib import Path

import pytest

from nonlocal_det.install import InstallError
from nonlocal_det.install.patches import NEW_FILES, PATCHES, Patch, apply_patches, fingerprint


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_patch_applies_exactly_as_often_as_it_says(tmp_path: Path, times: int):
    (tmp_path / "a.py").write_text("np.int " * times)
    with pytest.raises(InstallError, match=f"a.py: found {times} times instead of 2: 'np.int'"):
        apply_patches(tmp_path, [Patch("a.py", "np.int", "int", 2, "")])
    assert (tmp_path / "a.py").read_text() == "np.int " * times


def test_patches_apply_in_order_and_add_the_new_files(tmp_path: Path):
    (tmp_path / "detectron2" / "utils").mkdir(parents=True)
    (tmp_path / "a.py").write_text("one one")
    rows = [Patch("a.py", "one", "two", 2, ""), Patch("a.py", "two two", "three", 1, "")]
    apply_patches(tmp_path, rows)
    assert (tmp_path / "a.py").read_text() == "three"
    assert (tmp_path / "detectron2" / "utils" / "missing_ops.py").is_file()


def test_a_patch_of_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(InstallError, match="gone.py: found 0 times instead of 1"):
        apply_patches(tmp_path, [Patch("gone.py", "a", "b", 1, "")])


def test_every_row_of_the_table_changes_something_and_says_why():
    assert all(row.old != row.new and row.count > 0 and row.why for row in PATCHES)
    assert fingerprint(PATCHES) != fingerprint(PATCHES[1:])


def test_the_placeholder_names_the_missing_operator():
    (source,) = NEW_FILES.values()
    operators = runpy.run_path(str(source))["_C"]
    with pytest.raises(RuntimeError, match="'box_iou_rotated' is missing.*pip install --no-build"):
        operators.box_iou_rotated([], [])
    with pytest.raises(RuntimeError, match="'InstanceAnnotation'.*use_fast_impl=False"):
        operators.InstanceAnnotation()
    assert not hasattr(operators, "__wrapped__")  # copy and inspect go on working
