"""A file is written whole or not at all; its sha256 is the standard library's."""

import hashlib

import pytest

from nonlocal_det.files import PARTIAL, remove_partial, sha256_of, write_atomically


def test_the_content_replaces_the_old_one_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_a_failed_write_leaves_the_old_content(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_what_a_kill_has_left_is_removed(tmp_path):
    (tmp_path / f".a.pth{PARTIAL}").write_text("half")
    (tmp_path / "a.pth").write_text("whole")
    remove_partial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_sha256_is_the_standard_librarys(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 9000)  # more than one block
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
