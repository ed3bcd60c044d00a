"""A small suite on a training command that is a fake."""

import json
import sys
from pathlib import Path

import pytest

from nonlocal_det.experiments.plan import make_plan
from nonlocal_det.experiments.reproduce import reproduce
from nonlocal_det.synthetic.long_range.make import make_long_range
from nonlocal_det.synthetic.register import register_long_range

FAKE = (sys.executable, str(Path(__file__).with_name("fake_train.py")))


class FakeSuite:
    """A suite in a folder; its trainings take a tenth of a second."""

    def __init__(self, output: Path, name: str = "quick", **options: object) -> None:
        self.output, self.name, self.options = output, name, options
        self.train = FAKE
        output.mkdir()

    def plan(self, seeds: str | None = "2", **options):
        options = {**self.options, **options}
        return make_plan(self.name, seeds=seeds, output=self.output, **options)

    def run(
        self, seeds: str | None = "2", mode: str = "train", force: bool = False, **options
    ) -> int:
        jobs = options.pop("jobs", None)
        plan = self.plan(seeds, **options)
        return reproduce(plan, mode, force=force, jobs=jobs, train=FAKE)

    def set_faults(self, **faults: object) -> None:
        (self.output / "faults.json").write_text(json.dumps(faults))

    def calls(self, event: str = "start") -> list[tuple[str, int, str, float, list[str]]]:
        path = self.output / "calls.txt"
        lines = path.read_text().splitlines() if path.is_file() else []
        return [tuple(call) for name, *call in map(json.loads, lines) if name == event]

    def results(self):
        return json.loads((self.output / "results.json").read_text())

    def table(self) -> str:
        return (self.output / "results.md").read_text()

    def folder(self, config: str, seed: int) -> Path:
        return self.output / config / f"seed{seed}"


@pytest.fixture
def suite(tmp_path, mini_coco):
    return FakeSuite(tmp_path / "out")


@pytest.fixture(scope="session")
def beacon_data(tmp_path_factory):
    """The folder of all data sets, with a beacon of one image a split."""
    root = tmp_path_factory.mktemp("long_range_datasets")
    counts = {"num_train": 2, "num_val": 1, "num_test": 1}
    make_long_range(root, "beacon", receptive_field=211, **counts)
    return root


@pytest.fixture
def beacon(tmp_path, beacon_data, monkeypatch):
    """The question beacon of the suite long-range."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(beacon_data))
    register_long_range()
    yield FakeSuite(tmp_path / "out", "long-range", only="beacon")
    monkeypatch.undo()
    register_long_range()
