"""The tools where the system lacks what only Linux, or only Unix, has: macOS and Windows."""

import pytest
from programs import run_program

MACOS = """
import os, signal, sys
for module, names in ((os, "sched_getaffinity sched_setaffinity waitid"), (signal, "sigwaitinfo")):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""
WINDOWS = """
import subprocess  # torch's and the system's own modules keep theirs
import multiprocessing.util, torch, detectron2.utils.env, torch.distributed.elastic.agent.server.api
for name in "fork killpg getpgid setsid".split():
    if hasattr(os, name):
        delattr(os, name)
for name in "SIGKILL SIGHUP SIGUSR1 pthread_sigmask setitimer alarm".split():
    if hasattr(signal, name):
        delattr(signal, name)
import builtins
real_import = builtins.__import__
def refuse(name, names=None, *rest, **more):
    ours = (names or {}).get("__name__", "").startswith(("nonlocal_det", "benchmarks"))
    if ours and name in ("fcntl", "resource", "termios", "pwd"):
        raise ImportError(name)
    return real_import(name, names, *rest, **more)
builtins.__import__ = refuse
"""
USE = """
import importlib, io, pkgutil, pathlib
from contextlib import redirect_stdout, suppress
import nonlocal_det
from nonlocal_det import __main__ as verbs
real = pathlib.Path.is_file
pathlib.Path.is_file = lambda self: not str(self).startswith("/proc") and real(self)
for module in pkgutil.walk_packages(nonlocal_det.__path__, "nonlocal_det."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for verb in verbs.VERBS:
    sys.argv = ["x", verb, "--help"]
    with redirect_stdout(io.StringIO()), suppress(SystemExit):
        verbs.main()
import torch
from benchmarks.measure import measure
from nonlocal_det.training.provenance import processor
from nonlocal_det.training.process_group import usable_cores
from nonlocal_det.training.result import _peak_memory
result = measure(lambda: torch.ones(3) + 1, torch.device("cpu"), 0.01)
assert result.mebibytes != result.mebibytes and result.seconds > 0
assert processor() and usable_cores() >= 1
_peak_memory("cpu")
print("all ran")
"""


@pytest.mark.parametrize("taken", [MACOS, MACOS + WINDOWS], ids=["macos", "windows"])
def test_every_module_and_tool_loads_and_measures_without_linux(taken):
    status, said = run_program("-c", taken + USE)
    assert status == 0, said[-3000:]
    assert said.endswith("all ran\n")
