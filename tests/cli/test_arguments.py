import json

import pytest
import torch

from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.configs import find_config, load_config
from nonlocal_det.evaluation import build_evaluator

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"
COCO_NAMES = ["nose", "left_eye", "right_eye"]


def load(*arguments: str, config: str = CONFIG):
    return config_from_arguments(
        build_argument_parser().parse_args(["--config-file", config, *arguments])
    )


def own_data(folder, keypoints=None, masks=True, classes=("dog", "cat")):
    """A user's COCO-format data: one image, one annotation per class."""
    (folder / "images").mkdir(exist_ok=True)
    import cv2
    import numpy as np

    cv2.imwrite(str(folder / "images" / "a.png"), np.zeros((40, 50, 3), np.uint8))
    categories = [{"id": 5 * k + 1, "name": name} for k, name in enumerate(classes)]
    annotations = []
    for k, category in enumerate(categories):
        one = {"id": k + 1, "image_id": 1, "category_id": category["id"], "iscrowd": 0}
        one |= {"bbox": [5, 5, 20, 20], "area": 400}
        if masks:
            one["segmentation"] = [[5, 5, 25, 5, 25, 25, 5, 25]]
        if keypoints:
            category["keypoints"] = keypoints
            category["oks_sigmas"] = [0.05] * len(keypoints)
            one |= {"keypoints": [8, 8, 2] * len(keypoints), "num_keypoints": len(keypoints)}
        annotations.append(one)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 50}],
        "annotations": annotations,
        "categories": categories,
    }
    path = folder / "own.json"
    path.write_text(json.dumps(content))
    return ["--coco-data", folder.name, str(path), str(folder / "images")], folder.name


def using(name: str) -> list[str]:
    return ["DATASETS.TRAIN", f"('{name}',)", "DATASETS.TEST", f"('{name}',)"]


def test_device_follows_the_machine_unless_the_user_says(mini_coco):
    assert load().MODEL.DEVICE == ("cuda" if torch.cuda.is_available() else "cpu")
    assert load("MODEL.DEVICE", "cuda:3").MODEL.DEVICE == "cuda:3"


def test_options_override_the_file(mini_coco):
    cfg = load("SOLVER.MAX_ITER", "7", "MODEL.NONLOCAL.AFTER_BLOCKS", "[[],[0],[0,-1],[]]")
    assert cfg.SOLVER.MAX_ITER == 7
    assert cfg.MODEL.NONLOCAL.AFTER_BLOCKS == [[], [0], [0, -1], []]
    assert cfg.is_frozen()


def test_detectron2s_own_options_are_all_there():
    args = build_argument_parser().parse_args(
        "--config-file f --num-gpus 2 --num-machines 3 --machine-rank 1 --dist-url tcp://h:1 "
        "--resume --eval-only SOLVER.BASE_LR 0.1".split()
    )
    assert (args.num_gpus, args.num_machines, args.machine_rank) == (2, 3, 1)
    assert args.resume
    assert args.eval_only
    assert args.opts == ["SOLVER.BASE_LR", "0.1"]


def test_own_data_sets_what_it_decides(tmp_path):
    arguments, name = own_data(tmp_path, keypoints=COCO_NAMES)
    cfg = load(*arguments, *using(name))
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 2
    assert cfg.MODEL.RETINANET.NUM_CLASSES == 2
    assert cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS == 3
    assert cfg.TEST.KEYPOINT_OKS_SIGMAS == [0.05] * 3


def test_sigmas_of_the_command_line_win_over_the_data_sets(tmp_path, mini_coco):
    arguments, name = own_data(tmp_path, keypoints=COCO_NAMES)
    sigmas = ["--oks-sigmas", "0.1,0.2,0.3"]
    cfg = load(*arguments, *sigmas, *using(name))
    assert cfg.TEST.KEYPOINT_OKS_SIGMAS == [0.1, 0.2, 0.3]
    evaluator = build_evaluator(cfg, name, str(tmp_path))
    assert evaluator._sigmas == [0.1, 0.2, 0.3]
    without = build_evaluator(load(*arguments, *using(name)), name, str(tmp_path))
    assert without._sigmas == [0.05] * 3
    with pytest.raises(ValueError, match="expected 17 numbers above 0"):
        load(*sigmas)
    with pytest.raises(ValueError, match="expected 3 numbers above 0"):
        load(*arguments, "--oks-sigmas", "0.1,nan,0.3", *using(name))
    with pytest.raises(ValueError, match="KEYPOINT_ON=False"):
        load(*sigmas, "MODEL.KEYPOINT_ON", "False")


@pytest.mark.parametrize("mask_format", ["polygon", "bitmask"])
def test_the_format_of_masks_stays_the_configs(tmp_path, mask_format):
    arguments, name = own_data(tmp_path, keypoints=COCO_NAMES)
    (tmp_path / "own.yaml").write_text(
        f"_BASE_: {find_config('quick/mask_keypoint_rcnn_R18')}\n"
        f"INPUT: {{MASK_FORMAT: {mask_format}}}\n"
    )
    arguments += ["--config-file", str(tmp_path / "own.yaml")]
    assert load(*arguments, *using(name)).INPUT.MASK_FORMAT == mask_format
    path = tmp_path / "own.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = {"size": [40, 50], "counts": [205, 20, 1775]}
    path.write_text(json.dumps(content))
    assert load(*arguments, *using(name)).INPUT.MASK_FORMAT == mask_format


def test_two_data_sets_must_agree(tmp_path):
    for name, classes in (("one", ("dog", "cat")), ("two", ("dog",))):
        (tmp_path / name).mkdir()
        own_data(tmp_path / name, keypoints=COCO_NAMES, classes=classes)
    arguments = []
    for name in ("one", "two"):
        folder = tmp_path / name
        arguments += ["--coco-data", name, str(folder / "own.json"), str(folder / "images")]
    datasets = ["DATASETS.TRAIN", "('one',)", "DATASETS.TEST", "('two',)"]
    with pytest.raises(ValueError, match="NUM_CLASSES=2 but the data set 'two' has 1"):
        load(*arguments, *datasets)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["MODEL.NONLOCAL.PAIRWIZE", "gaussian"], ["PAIRWIZE", "MODEL.NONLOCAL.PAIRWISE"]),
        (["SOLVER.MAX_ITERS", "3"], ["command line", "SOLVER.MAX_ITERS", "SOLVER.MAX_ITER"]),
        (["SOLVER.MAX_ITER", "three"], ["command line", "MAX_ITER"]),
        (["SOLVER.AMP.ENABLED", "True", "MODEL.DEVICE", "mps"], ["AMP.ENABLED", "needs CUDA"]),
        (["TEST.AUG.ENABLED", "True"], ["TEST.AUG.ENABLED", "keypoints"]),
        (["DATASETS.TRAIN", "('no_such',)"], ["'no_such'", "--coco-data"]),
        (["DATASETS.TRAIN", "('coco_2017_train',)"], ["coco_2017_train", "DETECTRON2_DATASETS"]),
        (["MODEL.WEIGHTS", "nowhere.pth"], ["MODEL.WEIGHTS='nowhere.pth'", "no such file"]),
        (["MODEL.NONLOCAL"], ["command line"]),
    ],
)
def test_bad_options_are_refused_at_the_start(mini_coco, arguments, words):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(*arguments)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_missing_mini_coco_says_how_to_draw_it(tmp_path, monkeypatch):
    from nonlocal_det.synthetic.register import register_mini_coco

    register_mini_coco(tmp_path)
    with pytest.raises(FileNotFoundError, match="make_mini_coco"):
        load()
    register_mini_coco()


@pytest.mark.parametrize(
    "tag", ["object/apply:os.mkdir", "object/new:pathlib.Path", "name:os.system"]
)
@pytest.mark.parametrize("base", [False, True])
def test_a_config_file_cannot_run_code(tag, base, tmp_path):
    evil = tmp_path / "evil.yaml"
    evil.write_text(f"VERSION: 2\nOUTPUT_DIR: !!python/{tag} ['{tmp_path}/made']\n")
    (tmp_path / "config.yaml").write_text("_BASE_: evil.yaml\n")
    path = tmp_path / "config.yaml" if base else evil
    with pytest.raises(ValueError, match=f"is not plain YAML: .*python/{tag}.* runs no code"):
        load(config=str(path))
    assert not (tmp_path / "made").exists()


def test_a_missing_config_file_is_a_clear_error():
    with pytest.raises(FileNotFoundError, match="did you mean nl_mask_rcnn_R101"):
        load(config="configs/nl_mask_rcnn_R11.yaml")
    with pytest.raises(ValueError, match="--config-file is missing"):
        config_from_arguments(build_argument_parser().parse_args([]))


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({}, ["DATASETS.TRAIN", "()", "DATASETS.TEST", "()"], ["none of them", "DATASETS.TRAIN"]),
        ({"keypoints": COCO_NAMES}, ["MODEL.ROI_HEADS.NUM_CLASSES", "9"], ["NUM_CLASSES=9", "2"]),
        ({}, [], ["MODEL.KEYPOINT_ON=True", "no keypoints", "KEYPOINT_ON False"]),
        ({"masks": False}, ["MODEL.KEYPOINT_ON", "False"], ["MODEL.MASK_ON=True", "segmentation"]),
    ],
)
def test_data_that_does_not_fit_the_model_is_refused(tmp_path, data, options, words):
    arguments, name = own_data(tmp_path, **data)
    with pytest.raises(ValueError) as error:
        load(*arguments, *using(name), *options)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_an_option_after_the_key_value_pairs_is_explained():
    with pytest.raises(ValueError, match="--num-gpus; options come before the KEY VALUE pairs"):
        load_config("quick/mask_keypoint_rcnn_R18", ["SEED", "1", "--num-gpus", "2"])
