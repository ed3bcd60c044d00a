"""The options of the step, through the command, in a real training."""

import json
import math

import pytest
from tiny_training import load, run

from nonlocal_det.cli.arguments import build_argument_parser
from nonlocal_det.training import Trainer
from nonlocal_det.training.options import TrainingOptions
from nonlocal_det.training.step import NonFiniteError, training_step

UNEVALUATED = ["DATASETS.TEST", "()"]


def losses_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    return [(line["iteration"], line["lr"]) for line in lines if "total_loss" in line]


def test_parts_change_neither_the_images_nor_the_schedule(mini_coco, tmp_path, monkeypatch):
    drawn = {}
    split = training_step.split_batch

    def noting(data, count):
        drawn.setdefault(count, []).append([one["file_name"] for one in data])
        return split(data, count)

    monkeypatch.setattr(training_step, "split_batch", noting)
    for count in (1, 2):
        run(tmp_path / str(count), f"--accumulate={count}", *UNEVALUATED, iterations=2)
    assert len(drawn[1]) == 2
    assert drawn[1] == drawn[2]
    assert losses_of(tmp_path / "1") == losses_of(tmp_path / "2") != []
    one, other = (load(tmp_path / count) for count in "12")
    assert one["iteration"] == other["iteration"] == 1
    assert one["trainer"].keys() == other["trainer"].keys()


def test_steps_left_out_are_counted_over_a_restart(mini_coco, tmp_path, messages, monkeypatch):
    class Failing(Trainer):
        """Has one weight that is nan during two steps."""

        def run_step(self):
            bias = self.model.roi_heads.box_predictor.cls_score.bias.data
            kept = bias.clone()
            if self.iter in (0, 2):
                bias.fill_(math.nan)
            super().run_step()
            bias.copy_(kept)

    monkeypatch.setattr("nonlocal_det.training.train.Trainer", Failing)
    run(tmp_path, "--on-nonfinite=skip-1", *UNEVALUATED, iterations=2)
    said = "\n".join(messages())
    assert "iteration 0: loss_cls is nan" in said
    assert "weights themselves are not finite: roi_heads.box_predictor.cls_score.bias" in said
    assert "left out, 1 of at most 1" in said
    assert load(tmp_path)["nonfinite"] == {"skipped": 1}
    with pytest.raises(NonFiniteError, match=r"iteration 2.*\(1 such steps were left out before"):
        run(tmp_path, "--resume", "--on-nonfinite=skip-1", *UNEVALUATED, iterations=4)


def test_the_policy_is_a_word_or_a_number(capsys):
    parse = build_argument_parser().parse_args
    assert [parse(words).skip for words in ([], ["--on-nonfinite", "skip-12"])] == [0, 12]
    for wrong in ("skip", "skip-0", "skip--1", "go", "skip-1x"):
        with pytest.raises(SystemExit):
            parse([f"--on-nonfinite={wrong}"])
        assert f"--on-nonfinite: '{wrong}': expected stop or skip-N" in capsys.readouterr().err
    with pytest.raises(ValueError, match="skip=-1"):
        TrainingOptions(skip=-1)
