"""The installer's decisions, and the commands it runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from nonlocal_det.install import InstallError, Steps, install, main
from nonlocal_det.install.commands import Finished, run_command

ROOT = Path(__file__).resolve().parents[2]


def test_a_working_detectron2_is_left_alone(machine, cache):
    machine.probe |= {"version": "0.6", "path": "/there", "operators": True}
    assert install("auto", cache, machine.steps()).works
    assert machine.done() == []
    assert "detectron2 0.6 works: /there (C++ operators: present)" in machine.said
    assert not cache.exists()


PYPI = ["download", "wheel", "install"]


@pytest.mark.parametrize(
    ("source", "fault", "commands"),
    [
        ("auto", "", ["git", "git+"]),
        ("auto", "not reachable: no such host", ["git", *PYPI]),
        ("auto", "the compiler says no", ["git", "git+", *PYPI]),
        ("pypi", "", PYPI),
    ],
)
def test_the_repository_comes_first_and_pypi_where_it_fails(
    machine, cache, source, fault, commands
):
    machine.reachable = not fault.startswith("not reachable")
    machine.build_fails = fault.startswith("the compiler")
    assert install(source, cache, machine.steps()).operators == (commands[-1] == "git+")
    assert machine.done() == commands
    assert fault in machine.said
    assert ("falling back to PyPI" in machine.said) == bool(fault)


def test_source_repository_never_falls_back(machine, cache):
    machine.reachable = False
    with pytest.raises(InstallError, match="not reachable: no such host.*--source pypi"):
        install("repository", cache, machine.steps())
    assert machine.done() == ["git"]


def test_an_unknown_source_is_refused(machine, cache):
    with pytest.raises(ValueError, match="source='conda'; expected one of auto, repository, pypi"):
        install("conda", cache, machine.steps())


def test_an_installation_that_does_not_work_is_an_error(machine, cache):
    machine.installs_work = False
    with pytest.raises(InstallError, match="installed but does not work: it is not found"):
        install("pypi", cache, machine.steps())


@pytest.mark.parametrize("dry_source", ["auto", "repository", "pypi"])
def test_a_dry_run_changes_nothing(machine, cache, dry_source: str):
    install(dry_source, cache, machine.steps(dry_run=True))
    assert set(machine.done()) <= {"git"}  # ls-remote only looks
    assert not cache.exists()
    assert ("git+https" in machine.said) == (dry_source != "pypi")
    assert ("pip download" in machine.said) == (dry_source != "repository")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"torch": None}, "torch is missing.*requirements.txt"),
        ({"torchvision": None}, "torchvision is missing.*requirements.txt"),
        ({"torchvision": None, "torchvision_error": "RuntimeError: nms"}, "imported: Runt.*: nms"),
        ({"pip": None}, "pip is missing.*ensurepip"),
        ({"setuptools": "65.5.0"}, r"setuptools 65.5.0 cannot.*install 'setuptools>=70.1'"),
        ({"setuptools": None, "wheel": "0.48"}, r"setuptools \(missing\) cannot build"),
        ({"version": "0.5", "path": "/old"}, "detectron2 0.5 at /old is too old.*uninstall"),
        (
            {"error": "ImportError: undefined symbol", "distribution": "detectron2"},
            "does not work: ImportError: undefined symbol.*uninstall -y detectron2`",
        ),
    ],
)
def test_an_unfit_python_is_refused_with_the_cure(
    machine, cache, state: dict[str, str], message: str
):
    machine.probe |= state
    with pytest.raises(InstallError, match=message):
        install("auto", cache, machine.steps())
    assert machine.done() == []


def test_an_old_setuptools_will_do_beside_the_package_wheel(machine, cache):
    machine.probe |= {"setuptools": "65.5.0", "wheel": "0.48"}
    assert install("auto", cache, machine.steps()).works


def test_a_probe_that_crashes_is_an_error(cache: Path):
    with pytest.raises(InstallError, match=r"exit code -11:\nSegmentation fault\nCure: "):
        install("auto", cache, Steps(lambda command, timeout: Finished(-11, "Segmentation fault")))


def test_a_command_that_does_not_end_or_is_not_there_is_a_result():
    finished = run_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    assert (finished.code, "no answer within 0.2 seconds" in finished.output) == (124, True)
    assert run_command(["no-such-program"]) == (127, "no-such-program: not found")


def test_a_failed_command_shows_itself_and_its_last_lines():
    command = [sys.executable, "-c", "print(*range(100), sep='\\n'); raise SystemExit(3)"]
    with pytest.raises(InstallError, match=r"failed with exit code 3") as caught:
        Steps(say=lambda line: None).change("count", command)
    assert f"command: {sys.executable} -c" in str(caught.value)
    assert "\n80\n" in str(caught.value)
    assert "\n79\n" not in str(caught.value)


def test_the_installer_imports_without_torch_and_detectron2():
    code = "import sys; sys.modules.update(torch=None, numpy=None, detectron2=None);"
    code += "import nonlocal_det.install.__main__"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_tool_says_what_to_do_without_the_package():
    command = [sys.executable, "-S", "-E", str(ROOT / "tools" / "install_detectron2.py")]
    finished = run_command(command)
    assert finished.code == 1
    assert "pip install -e . --no-deps" in finished.output


def test_the_command_line_reports_an_error_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(source: str, cache: Path, steps: Steps) -> None:
        raise InstallError(f"{source} {cache.name} {steps.dry_run}")

    monkeypatch.setattr("nonlocal_det.install.detectron2.install", refuse)
    assert main(["--source", "pypi", "--cache", "here", "--dry-run"]) == 1
    assert capsys.readouterr().err == "error: pypi here True\n"
