"""A small suite on a training command that is a fake."""

import json
import sys
from pathlib import Path

import pytest

from nonlocal_det.engine.reproduce import make_plan, reproduce

FAKE = (sys.executable, str(Path(__file__).with_name("fake_train.py")))


class FakeSuite:
    """The quick suite in a folder; its trainings take a tenth of a second."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.train = FAKE
        output.mkdir()

    def plan(self, seeds: str = "2", **options):
        return make_plan("quick", seeds=seeds, output=self.output, **options)

    def run(self, seeds: str = "2", mode: str = "train", force: bool = False, **options) -> int:
        return reproduce(self.plan(seeds, **options), mode, force=force, train=FAKE)

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
