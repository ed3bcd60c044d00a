import pytest
import torch

from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.configs import find_config, load_config
from nonlocal_det.evaluation import build_evaluator

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"


def load(*arguments: str, config: str = CONFIG):
    return config_from_arguments(
        build_argument_parser().parse_args(["--config-file", config, *arguments])
    )


@pytest.fixture
def own(animals, write_data, tmp_path):
    """Loads the config for a user's data, which has the test's name, with more options."""

    def load_own(*flags: str, options: tuple[str, ...] = (), **more: str):
        json_file, images = write_data(animals)
        name = tmp_path.name
        data = ["--coco-data", name, str(json_file), str(images), *flags]
        sets = ["DATASETS.TRAIN", f"('{name}',)", "DATASETS.TEST", f"('{name}',)"]
        return load(*data, *sets, *options, **more)

    return load_own


def without(content, *keys: str) -> None:
    for row in (*content["annotations"], *content["categories"]):
        for key in keys:
            row.pop(key, None)


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


def test_own_data_sets_what_it_decides(own):
    cfg = own()
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 2
    assert cfg.MODEL.RETINANET.NUM_CLASSES == 2
    assert cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS == 3
    assert cfg.TEST.KEYPOINT_OKS_SIGMAS == [0.03, 0.03, 0.1]


def test_sigmas_of_the_command_line_win_over_the_data_sets(own, mini_coco, tmp_path):
    sigmas = ["--oks-sigmas", "0.1,0.2,0.3"]
    for cfg, expected in ((own(*sigmas), [0.1, 0.2, 0.3]), (own(), [0.03, 0.03, 0.1])):
        assert cfg.TEST.KEYPOINT_OKS_SIGMAS == expected
        assert build_evaluator(cfg, tmp_path.name, str(tmp_path))._sigmas == expected
    with pytest.raises(ValueError, match="expected 17 numbers above 0"):
        load(*sigmas)
    with pytest.raises(ValueError, match="expected 3 numbers above 0"):
        own("--oks-sigmas", "0.1,nan,0.3")
    with pytest.raises(ValueError, match="KEYPOINT_ON=False"):
        load(*sigmas, "MODEL.KEYPOINT_ON", "False")


@pytest.mark.parametrize("mask_format", ["polygon", "bitmask"])
def test_the_format_of_masks_stays_the_configs(own, animals, tmp_path, mask_format):
    config = tmp_path / "own.yaml"
    base = find_config("quick/mask_keypoint_rcnn_R18")
    config.write_text(f"_BASE_: {base}\nINPUT: {{MASK_FORMAT: {mask_format}}}\n")
    assert own(config=str(config)).INPUT.MASK_FORMAT == mask_format
    for annotation in animals["annotations"]:
        annotation["segmentation"] = {"size": [32, 40], "counts": [205, 20, 1055]}
    assert own(config=str(config)).INPUT.MASK_FORMAT == mask_format


def test_two_data_sets_must_agree(animals, write_data, tmp_path):
    json_file, images = write_data(animals)
    first = json_file.rename(tmp_path / "first.json")
    animals["categories"].pop()
    animals["annotations"] = [row for row in animals["annotations"] if row["category_id"] == 7]
    write_data(animals)
    words = []
    for name, path in (("two_classes", first), ("one_class", json_file)):
        words += ["--coco-data", name, str(path), str(images)]
    words += ["DATASETS.TRAIN", "('two_classes',)", "DATASETS.TEST", "('one_class',)"]
    with pytest.raises(ValueError, match="NUM_CLASSES=2 but the data set 'one_class' has 1"):
        load(*words)


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
    with pytest.raises(FileNotFoundError, match="python -m nonlocal_det make-mini-coco"):
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
    ("absent", "options", "words"),
    [
        ([], ["DATASETS.TRAIN", "()", "DATASETS.TEST", "()"], ["none of them", "DATASETS.TRAIN"]),
        ([], ["MODEL.ROI_HEADS.NUM_CLASSES", "9"], ["NUM_CLASSES=9", "2"]),
        (["keypoints"], [], ["MODEL.KEYPOINT_ON=True", "no keypoints", "KEYPOINT_ON False"]),
        (["segmentation"], [], ["MODEL.MASK_ON=True", "segmentation"]),
    ],
)
def test_data_that_does_not_fit_the_model_is_refused(own, animals, absent, options, words):
    without(animals, *absent)
    with pytest.raises(ValueError) as error:
        own(options=options)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_an_option_after_the_key_value_pairs_is_explained():
    with pytest.raises(ValueError, match="--num-gpus; options come before the KEY VALUE pairs"):
        load_config("quick/mask_keypoint_rcnn_R18", ["SEED", "1", "--num-gpus", "2"])
