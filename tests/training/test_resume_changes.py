"""What a resumed training keeps, and what it says is no longer exact."""

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.data import build_detection_train_loader
from killed_training import OPTIONS
from tiny_training import CONFIG, lay_checkpoint, load, same

from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.training import Trainer
from nonlocal_det.training.exact_resume import ExactResume

SHORT = ["SOLVER.MAX_ITER", "6", "SOLVER.CHECKPOINT_PERIOD", "1", "DATASETS.TEST", "()"]
PRECISE = ["TEST.PRECISE_BN.ENABLED", "True", "TEST.PRECISE_BN.NUM_ITER", "2"]


class Foreign(Trainer):
    """With a loader of the user's own."""

    @classmethod
    def build_train_loader(cls, cfg):
        return build_detection_train_loader(cfg)


def train(folder, *options: str, resume: bool = True, kind: type[Trainer] = Trainer) -> Trainer:
    words = ["--config-file", CONFIG, *OPTIONS, *SHORT, "TEST.EVAL_PERIOD", "2", *PRECISE]
    words += ["SEED", "-1", "OUTPUT_DIR", str(folder), *options]
    trainer = kind(config_from_arguments(build_argument_parser().parse_args(words)))
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return trainer


def change_saved(folder, change) -> None:
    """Change what the hooks have saved in the only checkpoint of a folder."""
    (path,) = folder.glob("model_*.pth")
    saved = torch.load(path, weights_only=True)
    change(saved["trainer"]["hooks"])
    torch.save(saved, path)


@pytest.fixture(scope="module")
def whole(datasets, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETECTRON2_DATASETS", str(datasets))
        from nonlocal_det.synthetic.register import register_mini_coco

        register_mini_coco()
        folder = tmp_path_factory.mktemp("whole")
        train(folder, resume=False)
    return folder


@pytest.mark.parametrize("number", [1, 4])
def test_a_drawn_seed_and_the_precise_norms_images_go_on(
    mini_coco, whole, tmp_path, messages, number
):
    """With SEED -1, and a stream of its own that the precise batch norm draws from."""
    folder = tmp_path / "again"
    lay_checkpoint(folder, whole, number)
    trainer = train(folder)
    assert trainer.exact_resume.inexact == []
    assert same(load(folder)["model"], load(whole)["model"])
    assert any(f"goes on exactly: {4 * (number + 1)} images" in one for one in messages())


def change_processes(saved: dict) -> None:
    saved["ExactResume"]["order"]["processes"] = 2


def relabel(saved: dict) -> None:
    saved["ExactResume"]["data"] = {"mini_coco_keypoints_train": "0" * 64}


def forget(saved: dict) -> None:
    del saved["ExactResume"]


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (change_processes, [], "processes is 1, not 2"),
        (relabel, [], "annotations of 'mini_coco_keypoints_train' are another file"),
        (lambda saved: None, ["SOLVER.IMS_PER_BATCH", "2"], "SOLVER.IMS_PER_BATCH is 2, not 4"),
        (lambda saved: None, ["DATALOADER.ASPECT_RATIO_GROUPING", "False"], "GROUPING is False"),
        (forget, [], "the checkpoint does not have it"),  # Detectron2's, or an older one
    ],
)
def test_what_is_not_exact_is_said(mini_coco, whole, tmp_path, messages, change, options, said):
    folder = tmp_path / "again"
    lay_checkpoint(folder, whole, 4)
    change_saved(folder, change)
    trainer = train(folder, *options)
    assert any("not exactly" in message and said in message for message in messages())
    (why,) = trainer.exact_resume.inexact
    assert said in why
    assert "from iteration 5" in why
    if options[:1] == ["SOLVER.IMS_PER_BATCH"]:
        assert trainer.data_loader.images == 20 + 2  # went on after the images, not batches
    trainer.exact_resume.load_state_dict(trainer.exact_resume.state_dict())
    trainer.exact_resume.before_train()  # another resume, itself exact, does not make it so
    assert trainer.exact_resume.inexact == [why]


def test_a_loader_of_ones_own_trains_and_starts_anew(mini_coco, whole, tmp_path):
    lay_checkpoint(tmp_path / "again", whole, 4)
    trainer = train(tmp_path / "again", kind=Foreign)
    assert "starts its images anew; a TrainStream would go on" in trainer.exact_resume.inexact[0]


def test_the_trainings_own_seed_is_kept(mini_coco, whole, tmp_path, messages):
    folder = tmp_path / "again"
    lay_checkpoint(folder, whole, 4)
    trainer = train(folder, "SEED", "3")
    assert trainer.exact_resume.seed != 3
    assert any(f"has {trainer.exact_resume.seed}, and keeps it" in one for one in messages())
    assert same(load(folder)["model"], load(whole)["model"])


def test_processes_draw_other_chance_and_every_step_its_own(monkeypatch):
    class OfStep:
        iter = 0

    draws = []
    cfg = get_cfg()
    cfg.SEED = 0
    hook = ExactResume(cfg, torch.optim.SGD([torch.zeros(1)], lr=1))
    hook.trainer = OfStep()
    for step, rank in [(0, 0), (1, 0), (0, 1), (0, 0)]:
        OfStep.iter = step
        monkeypatch.setattr("detectron2.utils.comm.get_rank", lambda rank=rank: rank)
        hook.before_step()
        draws.append(torch.rand(1).item())
    assert len(set(draws)) == 3
    assert draws[0] == draws[3]


@pytest.mark.parametrize(
    ("options", "key", "now"),
    [
        (["SOLVER.BASE_LR", "0.003"], "SOLVER.BASE_LR", lambda g: g["initial_lr"] == 0.003),
        (["SOLVER.WEIGHT_DECAY", "0.3"], "SOLVER.WEIGHT_DECAY", lambda g: 0.3 == g["weight_decay"]),
        (["SOLVER.MOMENTUM", "0.5"], "SOLVER.MOMENTUM", lambda g: g["momentum"] == 0.5),
        (["INPUT.RANDOM_FLIP", "none"], "INPUT.RANDOM_FLIP", lambda g: True),
        (["SOLVER.CLIP_GRADIENTS.CLIP_VALUE", "0.1"], "CLIP_VALUE", lambda g: True),
    ],
)
def test_what_the_user_changes_is_applied_and_named(
    mini_coco, whole, tmp_path, messages, options, key, now
):
    folder = tmp_path / "again"
    lay_checkpoint(folder, whole, 4)
    trainer = train(folder, *options)
    assert any(now(group) for group in trainer.optimizer.param_groups)
    if key == "SOLVER.BASE_LR":  # the rate is the schedule's
        factor = trainer.scheduler.get_lr()[0] / trainer.scheduler.base_lrs[0]
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.003 * factor)
    (named,) = trainer.exact_resume.inexact
    assert f"{key} is {options[1]}, not" in named
    assert any(named in message for message in messages())


def test_what_says_nothing_to_the_training_changes_nothing(mini_coco, whole, tmp_path):
    folder = tmp_path / "again"
    lay_checkpoint(folder, whole, 4)
    options = ("TEST.DETECTIONS_PER_IMAGE", "7", "INPUT.MIN_SIZE_TEST", "48", "VIS_PERIOD", "0")
    assert train(folder, *options).exact_resume.inexact == []
