"""What a training leaves in its folder, and continues from."""

import pytest
import torch
from tiny_training import CONFIG, TINY, run

from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.training import Trainer

KEEP = ("--keep-checkpoints=1", "--keep-best=total_loss:min")


def trainer_in(folder) -> Trainer:
    arguments = ["--config-file", CONFIG, "OUTPUT_DIR", str(folder), *TINY]
    return Trainer(config_from_arguments(build_argument_parser().parse_args(arguments)))


def momentum(trainer: Trainer) -> list[torch.Tensor]:
    states = trainer.optimizer.state_dict()["state"]
    return [states[number]["momentum_buffer"] for number in sorted(states)]


def test_a_training_continues_with_its_momentum(mini_coco, tmp_path, messages):
    run(tmp_path, *KEEP, "SOLVER.CHECKPOINT_PERIOD", "1", "TEST.EVAL_PERIOD", "2", iterations=3)
    names = sorted(path.name for path in tmp_path.glob("*.pth"))
    assert names == ["model_0000002.pth", "model_best.pth", "model_final.pth"]
    final = tmp_path / "model_final.pth"
    saved = torch.load(final, weights_only=True)
    assert set(saved["made_by"]) == {"commit", "command", "config", "config_hash", "versions"}
    assert f"OUTPUT_DIR: {tmp_path}" in saved["made_by"]["config"]
    states = saved["trainer"]["_trainer"]["optimizer"]["state"]
    expected = [states[number]["momentum_buffer"] for number in sorted(states)]
    assert any(one.abs().max() > 0 for one in expected)

    final.write_bytes(final.read_bytes()[:-1000])  # as a crash of another program's may leave it
    trainer = trainer_in(tmp_path)
    trainer.resume_or_load(resume=True)
    assert (tmp_path / "model_final.pth.damaged").is_file()
    assert trainer.start_iter == 3
    found = momentum(trainer)
    assert len(found) == len(expected)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    assert trainer.scheduler.last_epoch == 3

    state = trainer.state_dict()
    del state["_trainer"]  # as Detectron2's 0.6 release saves it
    trainer.load_state_dict(state)
    assert any("the momentum starts at 0" in message for message in messages())


def test_weights_that_leave_the_backbone_stop_a_training(mini_coco, tmp_path):
    torch.save({"model": {"backbone.fpn_lateral2.bias": torch.zeros(256)}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="tensors of the backbone as they were.*--allow-unmatched"):
        run(tmp_path, "MODEL.WEIGHTS", str(tmp_path / "a.pth"))
    assert not list(tmp_path.glob("model_*.pth"))
