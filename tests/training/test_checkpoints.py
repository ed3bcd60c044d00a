"""What a training leaves in its folder, and continues from."""

import pytest
import torch
from tiny_training import config, load, run, same

from nonlocal_det.training import Trainer

KEEP = ("--keep-checkpoints=1", "--keep-best=total_loss:min")


def momentum(state: dict) -> list[torch.Tensor]:
    states = state["_trainer"]["optimizer"]["state"]
    return [states[number]["momentum_buffer"] for number in sorted(states)]


def test_a_training_continues_with_its_momentum(mini_coco, tmp_path, messages):
    run(tmp_path, *KEEP, "SOLVER.CHECKPOINT_PERIOD", "1", "TEST.EVAL_PERIOD", "2", iterations=3)
    names = sorted(path.name for path in tmp_path.glob("*.pth"))
    assert names == ["model_0000002.pth", "model_best.pth", "model_final.pth"]
    final, saved = tmp_path / "model_final.pth", load(tmp_path)
    assert set(saved["made_by"]) == {"commit", "command", "config", "config_hash", "versions"}
    assert f"OUTPUT_DIR: {tmp_path}" in saved["made_by"]["config"]
    expected = momentum(saved["trainer"])
    assert any(one.abs().max() > 0 for one in expected)

    final.write_bytes(final.read_bytes()[:-1000])  # as a crash of another program's may leave it
    trainer = Trainer(config("OUTPUT_DIR", str(tmp_path)))
    trainer.resume_or_load(resume=True)
    assert (tmp_path / "model_final.pth.damaged").is_file()
    assert trainer.start_iter == 3
    assert same(momentum(trainer.state_dict()), expected)
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
