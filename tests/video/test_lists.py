"""A user's own videos: lists, class folders, the config that follows them, one line for a fault."""

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from numbered_videos import write_numbered

from nonlocal_det.cli import check
from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.data.coco_data import forget

CONFIG = "video/quick/nl_i3d_R18"
DATA = ("DATASETS.TRAIN", "('mine',)", "DATASETS.TEST", "('mine_val',)")


@pytest.fixture
def videos(tmp_path):
    for split in ("train", "val"):
        for name in ("ball", "cat"):
            path = tmp_path / split / name / "a.mp4"
            path.parent.mkdir(parents=True)
            write_numbered(path, 20)
    yield tmp_path
    for name in ("mine", "mine_val"):
        forget(name)


def load(*arguments, config=CONFIG):
    parser = build_argument_parser()
    return config_from_arguments(parser.parse_args(["--config-file", config, *map(str, arguments)]))


def folders(videos):
    return (
        *("--video-data", "mine", "-", videos / "train"),
        *("--video-data", "mine_val", "-", videos / "val"),
    )


def listed(videos, *lines):
    (videos / "list.txt").write_text("\n".join(lines))
    return ("--video-data", "mine", videos / "list.txt", videos / "train")


def test_the_config_follows_class_folders(videos):
    (videos / "val" / "cat" / "a.mp4").rename(videos / "val" / "ball" / "b.mp4")
    cfg = load(*folders(videos), *DATA)
    assert (cfg.MODEL.VIDEO.NUM_CLASSES, cfg.MODEL.VIDEO.LOSS) == (2, "softmax")
    assert MetadataCatalog.get("mine_val").thing_classes == ["ball", "cat"]


def test_several_labels_set_the_loss(videos):
    entry = listed(videos, "ball/a.mp4,round,red", "cat/a.mp4,red")
    cfg = load(*entry, "DATASETS.TRAIN", "('mine',)", "DATASETS.TEST", "('mine',)")
    assert (cfg.MODEL.VIDEO.NUM_CLASSES, cfg.MODEL.VIDEO.LOSS) == (2, "sigmoid")
    assert [record["label"] for record in DatasetCatalog.get("mine")] == [[0, 1], [0]]


def test_a_class_file_names_and_orders_the_classes(videos):
    (videos / "classes.txt").write_text("dog\ncat\nball\n")
    load(*folders(videos), *DATA)
    assert MetadataCatalog.get("mine").thing_classes == ["dog", "cat", "ball"]
    assert [record["label"] for record in DatasetCatalog.get("mine")] == [2, 1]
    load(*listed(videos, "ball/a.mp4 2", "cat/a.mp4 1"), "DATASETS.TRAIN", "('mine',)",
         "DATASETS.TEST", "('mine',)")  # fmt: skip
    assert [record["label"] for record in DatasetCatalog.get("mine")] == [2, 1]


def test_numbers_may_be_fewer_than_the_models_classes(videos):
    used = ("DATASETS.TRAIN", "('mine',)", "DATASETS.TEST", "('mine',)")
    cfg = load(*listed(videos, "ball/a.mp4 3"), *used, "MODEL.VIDEO.NUM_CLASSES", 400)
    assert cfg.MODEL.VIDEO.NUM_CLASSES == len(MetadataCatalog.get("mine").thing_classes) == 400
    with pytest.raises(ValueError, match="NUM_CLASSES=3, but the data set 'mine' has 4 classes"):
        load(*listed(videos, "ball/a.mp4 3"), *used, "MODEL.VIDEO.NUM_CLASSES", 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.mp4"], "list.txt:1: 'a.mp4' has no label or no path; expected 'path,label'"),
        (["a.mp4,x", "b.mp4,"], "list.txt:2: 'b.mp4,' has no label"),
        (["7 8 9"], "list.txt:1: '7 8 9' has no label or no path"),
        (["a.mp4,cat", "b.mp4,3"], "list.txt:2: label '3' is a number and others are names"),
        ([""], "list.txt has no line"),
    ],
)
def test_a_line_of_an_unknown_format_is_named(videos, lines, message):
    with pytest.raises(ValueError, match=message):
        load(*listed(videos, *lines), *DATA)


def test_a_label_that_is_no_class_is_named_with_the_cure(videos):
    (videos / "classes.txt").write_text("ball\ncat\n")
    for label in ("dgo", "2"):
        with pytest.raises(ValueError, match=rf"list.txt:2: label '{label}' is not among the 2 cl"):
            load(*listed(videos, "ball/a.mp4,ball", f"cat/a.mp4,{label}"), *DATA)


def test_what_contradicts_the_data_is_refused(videos):
    with pytest.raises(ValueError, match="config is of no video model; give one of configs/video"):
        load(*folders(videos), *DATA, config="quick/nl_mask_keypoint_rcnn_R18")
    with pytest.raises(ValueError, match=r"--video-data registered mine.*add DATASETS.TRAIN"):
        load(*folders(videos))
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        load("--video-data", "mine", "-", videos / "nowhere", *DATA)
    with pytest.raises(FileNotFoundError, match="nothing.txt: no such list; give a file, or -"):
        load("--video-data", "mine", videos / "nothing.txt", videos, *DATA)
    with pytest.raises(ValueError, match="LOSS=softmax, but videos of 'mine' have several labels"):
        load(*listed(videos, "a.mp4,x,y"), *DATA, "MODEL.VIDEO.LOSS", "softmax")


def test_videos_are_checked_by_the_command_line(videos, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            check.main(["--video", "-", str(videos / "train"), *arguments])
        return ended.value.code, capsys.readouterr().out

    assert run() == (
        0,
        f"{videos}/train: 2 videos of 2 classes, 2 read\n{videos}/train: usable\n",
    )
    (videos / "train" / "cat" / "none.mp4").write_bytes(b"")
    code, text = run("--json", str(videos / "report.json"))
    assert code == 3
    assert f"unreadable: {videos}/train/cat/none.mp4: the file is empty" in text
    assert "none.mp4" in (videos / "report.json").read_text()
    (videos / "train" / "cat" / "none.mp4").unlink()
    late = bytearray(write_numbered(videos / "a.mkv", 60, gop=250).read_bytes())
    late[len(late) * 3 // 4 :] = bytes(len(late) - len(late) * 3 // 4)
    (videos / "train" / "cat" / "late.mkv").write_bytes(late)
    assert run()[0] == 0  # its beginning is whole
    assert run("--images", "all")[0] == 3
