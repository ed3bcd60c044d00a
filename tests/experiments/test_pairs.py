"""A pair is only a pair if nothing but the blocks differs: the data and the first weights."""

import pytest
import torch
from detectron2.utils.env import seed_all_rng

from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.training import Trainer

TINY = [
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.MAX_ITER", "4", "SOLVER.STEPS", "()"),
    *("TEST.EXPECTED_RESULTS", "[]"),
    *("INPUT.MIN_SIZE_TRAIN", "(48, 56, 64)", "INPUT.MAX_SIZE_TRAIN", "96", "DATASETS.TEST", "()"),
    *("MODEL.DEVICE", "cpu", "SOLVER.BASE_LR", "0.01", "SOLVER.WARMUP_ITERS", "0"),
]


def train(config: str, seed: int, out, workers: int):
    """The weights before training, and every batch that was trained on."""
    arguments = ["--config-file", f"quick/{config}", "SEED", str(seed), "OUTPUT_DIR", str(out)]
    arguments += [*TINY, "DATALOADER.NUM_WORKERS", str(workers)]
    cfg = config_from_arguments(build_argument_parser().parse_args(arguments))
    seed_all_rng(cfg.SEED)  # as default_setup does
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    weights = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    batches = []
    trainer.model.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0]))
    trainer.train()
    return trainer.model, weights, batches


@pytest.mark.parametrize("workers", [0, 2])
def test_a_model_and_its_baseline_see_the_same_images_and_start_from_the_same_weights(
    mini_coco, tmp_path, workers
):
    base, base_weights, base_batches = train(
        "mask_keypoint_rcnn_R18", 3, tmp_path / "base", workers
    )
    model, weights, batches = train("nl_mask_keypoint_rcnn_R18", 3, tmp_path / "nl", workers)
    assert len(nonlocal_blocks(model)) == 5
    assert len(batches) == 4
    for theirs, ours in zip(base_batches, batches, strict=True):
        assert [one["image_id"] for one in theirs] == [one["image_id"] for one in ours]
        for one, other in zip(theirs, ours, strict=True):  # the augmentation too
            assert torch.equal(one["image"], other["image"])
    assert base_weights.keys() < weights.keys()
    assert all(torch.equal(weights[key], value) for key, value in base_weights.items())
    # and they have gone apart since: the order did not hang on equal models
    trained = model.state_dict()
    assert any(not torch.equal(trained[key], value) for key, value in base.state_dict().items())
