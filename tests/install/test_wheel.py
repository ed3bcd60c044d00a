"""The wheel is built once, whole or not at all."""

from pathlib import Path

import pytest

from nonlocal_det.install import InstallError, install
from nonlocal_det.install import wheel as wheel_module
from nonlocal_det.install.patches import Patch


def files_below(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


def test_the_wheel_is_built_once_and_reused(machine, cache):
    install("pypi", cache, machine.steps())
    (build,) = (path.name for path in cache.glob("build-*"))
    kept = [build, f"{build}/{wheel_module.WHEEL}", f"{build}/sha256", wheel_module.ARCHIVE]
    assert files_below(cache) == kept  # and nothing unfinished
    machine.done()
    del machine.probe["version"]  # another environment, the same cache
    install("pypi", cache, machine.steps())
    assert machine.done() == ["install"]


def test_a_changed_table_builds_anew(machine, cache, monkeypatch: pytest.MonkeyPatch):
    install("pypi", cache, machine.steps())
    machine.done()
    del machine.probe["version"]
    monkeypatch.setattr(
        wheel_module, "PATCHES", (*wheel_module.PATCHES, Patch("setup.py", "new", "new", 1, ""))
    )
    install("pypi", cache, machine.steps())
    assert machine.done() == ["wheel", "install"]


def test_damaged_files_in_the_cache_are_named_and_replaced(machine, cache):
    install("pypi", cache, machine.steps())
    machine.done()
    del machine.probe["version"]
    (built,) = cache.glob("build-*/*.whl")
    for path in (built, cache / wheel_module.ARCHIVE):
        path.write_bytes(b"damaged")
    install("pypi", cache, machine.steps(dry_run=True))
    assert (machine.done(), built.read_bytes()) == ([], b"damaged")
    install("pypi", cache, machine.steps())
    assert machine.done() == ["download", "wheel", "install"]
    assert built.read_bytes() == b"a wheel"
    assert f"remove the damaged build (the wheel's sha256 differs): {built.parent}" in machine.lines
    assert f"sha256 differs): {cache / wheel_module.ARCHIVE}" in machine.said


def test_a_download_with_another_sha256_is_refused(machine, cache):
    machine.archive.write_bytes(b"something else")
    cache.mkdir()
    (cache / wheel_module.ARCHIVE).write_bytes(b"damaged")
    with pytest.raises(InstallError, match=f"expected {wheel_module.ARCHIVE_SHA256}"):
        install("pypi", cache, machine.steps())
    assert machine.done() == ["download"]
    assert files_below(cache) == []


def test_a_wheel_that_is_not_pure_is_refused(machine, cache):
    machine.built_name = "detectron2-0.6+purepython-cp311-cp311-linux_x86_64.whl"
    with pytest.raises(InstallError, match="pip built .*cp311.*; expected .*py3-none-any.whl"):
        install("pypi", cache, machine.steps())
    assert files_below(cache) == [wheel_module.ARCHIVE]


def test_a_cache_that_cannot_be_written_is_an_error(machine, tmp_path):
    with pytest.raises(InstallError, match="is not writable.*--cache"):
        install("pypi", machine.archive / "cache", machine.steps())
