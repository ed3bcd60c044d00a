"""Stands in for the training command: does in a moment what a day of training leaves behind.

What it does to a run is in faults.json beside the suite's runs, by "CONFIG SEED" (or "CONFIG
RATE"): "fail" (exit 3 after a checkpoint), "fail early" (without one), "diverge", "silent" (exit 0,
no result), "hang", or "deaf" (hangs and does not end when asked to). Under "ap" are APs by "CONFIG
RATE".
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

AP = {"mask_keypoint_rcnn_R18": 40.0, "nl_mask_keypoint_rcnn_R18": 41.0}  # of seed 0

arguments = sys.argv[1:]
options = arguments[arguments.index("SEED") :]
values = dict(zip(options[::2], options[1::2], strict=True))
config = arguments[arguments.index("--config-file") + 1]
seed, folder = int(values["SEED"]), Path(values["OUTPUT_DIR"])
suite = next(parent for parent in folder.parents if parent.name == "out")
calls = suite / "calls.txt"


def note(event: str) -> None:
    fields = [event, config, seed, os.environ.get("CUDA_VISIBLE_DEVICES", ""), time.monotonic()]
    with open(calls, "a") as file:
        file.write(json.dumps([*fields, arguments]) + "\n")


(suite / "threads.txt").write_text(os.environ.get("OMP_NUM_THREADS", ""))
note("start")
faults_file = suite / "faults.json"
faults = json.loads(faults_file.read_text()) if faults_file.is_file() else {}
rate = values.get("SOLVER.BASE_LR", "")
fault = faults.get(f"{config} {seed}", faults.get(f"{config} {rate}", ""))
print(f"training {config}")
if fault != "fail early":
    (folder / "last_checkpoint").write_text("model_0000199.pth")
    line = json.dumps({"iteration": 199, "time": 0.5})
    (folder / "metrics.json").write_text(line + '\n{"iterat')
if fault == "diverge":
    sys.exit("FloatingPointError: Loss became infinite or NaN at iteration=7!")
if fault.startswith("fail"):
    sys.exit("RuntimeError: out of memory") if fault == "fail early" else sys.exit(3)
if fault == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if fault in ("hang", "deaf"):
    time.sleep(60)
time.sleep(faults.get("seconds", 0) * (3 if config.startswith("quick/nl") else 1))
if fault != "silent":
    start = json.loads((folder / "run.json").read_text())["starts"][-1]
    ap = AP.get(config.split("/")[-1], 30.0) + seed * (
        1.25 if config.startswith("quick/nl") else 1.0
    )
    given = faults.get("ap", {})
    ap = given.get(f"{config} {rate}", ap)
    metrics = {"AP": ap, "AP50": ap and ap + 20, "AP75": ap if given else None}
    result = {
        "metrics": {"bbox": metrics, "segm": metrics},
        "by_distance": faults.get("by_distance", {}).get(f"{config} {seed}"),
        "seed": seed,
        "versions": {"torch": "2"},
        "hardware": "a machine",
        "command": "python train",
        "first_iteration": 200 if "--resume" in arguments else 0,
        "inexact": ["other processes"],
        "s_per_iter": 0.25 if config.startswith("quick/nl") else 0.2,
        "s_per_image": 0.05,
        "memory_mib": 100,
        **{key: start[key] for key in ("commit", "config_hash", "data")},
    }
    (folder / "result.json").write_text(json.dumps(result))
note("end")
