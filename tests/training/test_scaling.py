"""Batch and learning rate for another number of processes, by the linear rule, and said."""

import pytest

from nonlocal_det import model_zoo
from nonlocal_det.training.scaling import describe_scaling, fit_to_processes


def config(**solver):
    cfg = model_zoo.get_config("mask_rcnn_R50")  # 16 images, rate 0.02, 90000 iterations
    for key, value in solver.items():
        cfg.SOLVER[key] = value
    cfg.TEST.EVAL_PERIOD = 5000
    cfg.freeze()
    return cfg


def numbers(cfg):
    solver = cfg.SOLVER
    return (solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER, *solver.STEPS,
            solver.WARMUP_ITERS, solver.CHECKPOINT_PERIOD, cfg.TEST.EVAL_PERIOD)  # fmt: skip


@pytest.mark.parametrize("reference", [0, 8])
def test_two_processes_of_a_config_for_eight(reference):
    before = config(REFERENCE_WORLD_SIZE=reference)
    after = fit_to_processes(before, 2, scale_lr=True)
    expected = (4, 0.005, 360000, 240000, 320000, 4000, 20000, 20000)
    assert numbers(after) == pytest.approx(expected)
    assert after.is_frozen()
    assert numbers(fit_to_processes(after, 2)) == numbers(after)  # resumed from its config.yaml
    assert numbers(before)[0] == 16
    assert describe_scaling(before, after, 2) == (
        "2 processes with 2 images each: SOLVER.IMS_PER_BATCH=4, BASE_LR=0.005, MAX_ITER=360000, "
        "scaled from 16, 0.02 and 90000 for 8 processes"
    )


def test_a_reference_in_the_config_scales_by_itself_as_in_detectron2():
    after = fit_to_processes(config(REFERENCE_WORLD_SIZE=4), 8)
    assert numbers(after) == pytest.approx((32, 0.04, 45000, 30000, 40000, 500, 2500, 2500))


def test_without_a_reference_nothing_is_scaled_and_that_is_said():
    before = config()
    after = fit_to_processes(before, 4)
    assert after is before
    assert describe_scaling(before, after, 4) == (
        "4 processes with 4 images each: SOLVER.IMS_PER_BATCH=16, BASE_LR=0.02, MAX_ITER=90000, as "
        "the config says; nothing is scaled"
    )


def test_periods_never_become_never():
    before = config(REFERENCE_WORLD_SIZE=1, CHECKPOINT_PERIOD=3, IMS_PER_BATCH=1)
    after = fit_to_processes(before, 64)
    assert after.SOLVER.CHECKPOINT_PERIOD == 1
    assert after.TEST.EVAL_PERIOD == 78
    disabled = before.clone()
    disabled.defrost()
    disabled.TEST.EVAL_PERIOD = 0  # only at the end
    assert fit_to_processes(disabled, 64).TEST.EVAL_PERIOD == 0


@pytest.mark.parametrize(
    ("images", "processes", "said"),
    [
        (16, 3, "SOLVER.IMS_PER_BATCH=16 cannot be shared equally by 3 processes; set "
                "SOLVER.IMS_PER_BATCH 15 or 18"),
        (2, 3, "set SOLVER.IMS_PER_BATCH 3 "),
    ],
)  # fmt: skip
def test_a_batch_that_cannot_be_shared_names_one_that_can(images, processes, said):
    with pytest.raises(ValueError) as error:
        fit_to_processes(config(IMS_PER_BATCH=images), processes)
    assert said in str(error.value)


def test_a_reference_that_does_not_divide_the_batch_is_refused():
    with pytest.raises(ValueError, match="IMS_PER_BATCH=12 is no multiple of .*REFERENCE_WORLD_S"):
        fit_to_processes(config(IMS_PER_BATCH=12), 2, scale_lr=True)
