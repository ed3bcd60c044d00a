import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from pycocotools.coco import COCO
from small_models import small_config
from trained_model import NAME, SMALL, load_detector, save_picture, save_weights

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.data import import_cv2
from nonlocal_det.inference.attention_queries import (
    AttentionQuery,
    attention_at,
    instance_at,
    parse_query,
)
from nonlocal_det.inference.demo import DemoOptions, run_demo, run_video
from nonlocal_det.inference.detector import Detector
from nonlocal_det.inference.sources import VideoFile, read_frames
from nonlocal_det.visualization import record_attention

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "model_final.pth")


@pytest.fixture(scope="module")
def detector(weights):
    return load_detector(weights)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    save_picture(folder / "a.png", 64, 96)
    save_picture(folder / "b.jpg", 96, 64, seed=1)
    (folder / "c.jpg").write_text("a text file")
    (folder / "d.png").write_bytes((folder / "a.png").read_bytes()[:500])
    return folder


def options(out, **changed):
    return DemoOptions(out=out, threshold=0.0, progress=False, **changed)


def test_a_folder_with_broken_files_gives_pictures_and_a_coco_json(
    detector, photos, tmp_path, capsys
):
    found = run_demo(detector, [str(photos)], DemoOptions(tmp_path, threshold=0.0, batch_size=4))
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "b.png", "predictions.json"}
    assert [Path(said.split(":")[0]).name for said in found.skipped] == ["c.jpg", "d.png"]
    assert str(found) == f"2 images, 2 unreadable, {found.detections} detections"
    said = capsys.readouterr().err
    assert "c.jpg: no image" in said
    assert "d.png: a damaged image" in said
    assert "4/4" in said  # the progress bar
    coco = COCO(str(tmp_path / "predictions.json"))
    names = [one["file_name"] for one in coco.dataset["images"]]
    assert names == [str(photos / "a.png"), str(photos / "b.jpg")]
    assert coco.dataset["categories"][0]["name"] == "person"
    one = coco.dataset["annotations"][0]
    assert coco.annToMask(one).shape == (64, 96)
    assert len(one["keypoints"]) == 17 * 3
    assert len(coco.dataset["annotations"]) == found.detections > 0


def test_a_link_that_leads_nowhere_is_named_and_skipped(detector, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    save_picture(photos / "b.png", 64, 64)
    (photos / "a.png").symlink_to(photos / "gone.png")
    found = run_demo(detector, [str(photos)], options(tmp_path / "out"))
    assert (found.images, len(found.skipped)) == (1, 1)
    assert "a.png: no such file" in capsys.readouterr().err


def test_the_json_has_what_the_model_found(detector, photos, tmp_path):
    run_demo(detector, [str(photos / "a.png")], options(tmp_path))
    saved = json.loads((tmp_path / "predictions.json").read_text())["annotations"]
    from nonlocal_det.inference.sources import read_picture

    (found,) = detector([read_picture(photos / "a.png")])
    assert len(saved) == len(found)
    for one, box, score in zip(saved, found.pred_boxes.tensor, found.scores, strict=True):
        x, y, width, height = one["bbox"]
        assert [x, y, x + width, y + height] == pytest.approx(box.tolist(), abs=1e-3)
        assert one["score"] == pytest.approx(float(score))


def test_a_batch_gives_what_single_images_give(detector, tmp_path):
    for k in range(3):
        save_picture(tmp_path / f"{k}.png", 64, 96, seed=k)
    saved = []
    for size in (1, 2):
        out = tmp_path / f"by{size}"
        run_demo(detector, [str(tmp_path)], options(out, batch_size=size))
        saved.append(json.loads((out / "predictions.json").read_text())["annotations"])
    assert len(saved[0]) == len(saved[1]) > 3
    for one, other in zip(*saved, strict=True):
        assert one["image_id"] == other["image_id"]
        assert one["bbox"] == pytest.approx(other["bbox"], abs=1e-2)


def test_batches_are_as_large_as_asked(detector, photos, tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        Detector, "__call__", lambda _, images, threshold: sizes.append(len(images)) or []
    )
    save_picture(tmp_path / "c.png", 8, 8)
    with pytest.raises(ValueError, match="zip"):  # the fake finds nothing
        run_demo(detector, [str(photos), str(tmp_path)], options(tmp_path / "out", batch_size=2))
    assert sizes == [2]  # broken files do not count


def test_a_threshold_leaves_out_what_scores_less(detector, monkeypatch):
    found = Instances((8, 8), scores=torch.tensor([0.9, 0.5, 0.49]))
    monkeypatch.setattr(detector, "model", lambda inputs: [{"instances": found}])
    (kept,) = detector([np.zeros((8, 8, 3), np.uint8)], 0.5)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize(
    ("asked", "files"),
    [
        ("20,30", ["a_attention.png"]),
        ("instances", ["a_attention.png"]),
        ("keypoints", ["a_attention_1.png", "a_attention_2.png"]),
    ],
)
def test_attention_is_drawn_from(asked, files, detector, photos, tmp_path):
    query = parse_query(asked, joints=["nose"], most=2)
    run_demo(detector, [str(photos / "a.png")], options(tmp_path, query=query))
    assert sorted(p.name for p in tmp_path.glob("*attention*")) == files


def test_joints_are_asked_in_their_own_regions(detector):
    images = [np.full((64, 96, 3), 90, np.uint8), np.full((96, 64, 3), 10, np.uint8)]
    with record_attention(detector.model) as maps:
        found = detector(images)
    query = AttentionQuery("keypoints", joints=("left_wrist", "nose"), most=2)
    looks = attention_at(maps, query, 1, found[1], detector.metadata)
    assert [look.title for look in looks] == [
        f"{k}: {name}" for k in (1, 2) for name in ("left_wrist", "nose")
    ]
    for k, look in enumerate(looks):
        assert [seen.block[-3:] for seen in look.maps] == ["nl2", "nl4", "nl6", "nl8"]
        box = found[1].pred_boxes.tensor[k // 2].tolist()
        assert look.maps[0].placement.box == pytest.approx(box, abs=1e-2)
    best = attention_at(maps, AttentionQuery("keypoints", most=1), 1, found[1], detector.metadata)
    scores = dict(
        zip(detector.metadata.keypoint_names, found[1].pred_keypoints[0, :, 2], strict=True)
    )
    joints = [look.title.split(": ")[1] for look in best]
    assert joints == sorted(scores, key=scores.__getitem__, reverse=True)[:3]


def test_a_video_becomes_a_video(detector, tmp_path):
    source = VideoFile(tmp_path / "walk.mp4", 10)
    for k in range(3):
        source.write(np.full((64, 96, 3), 80 * k, np.uint8))
    source.close()
    out = tmp_path / "out"
    found = run_video(detector, str(source.path), options(out, batch_size=2))
    assert found.images == 3
    assert [frame.shape for frame in read_frames(str(out / "walk.mp4"))] == [(512, 768, 3)] * 3
    saved = json.loads((out / "predictions.json").read_text())["images"]
    assert [one["file_name"] for one in saved] == [f"{source.path}#{k}" for k in range(3)]
    assert run_video(detector, str(source.path), options(out, max_frames=2)).images == 2


class Camera:
    """Gives three frames; then Ctrl-C is pressed."""

    released = 0

    def __init__(self, number):
        assert number == 1
        self.left = 3

    def isOpened(self):
        return True

    def read(self):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return True, np.full((64, 64, 3), 70, np.uint8)

    def release(self):
        Camera.released += 1


def test_a_camera_is_read_until_it_is_stopped(detector, tmp_path, monkeypatch, capsys):
    cv2 = import_cv2()
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "VideoCapture", Camera)
        found = run_video(detector, 1, options(tmp_path))
    assert found.images == 3
    assert Camera.released == 1
    assert "stopped after 3 frames" in capsys.readouterr().err
    assert len(list(read_frames(str(tmp_path / "camera1.mp4")))) == 3
    assert len(json.loads((tmp_path / "predictions.json").read_text())["images"]) == 3


def test_the_tool_needs_no_display_and_says_what_it_has_done(
    weights, photos, tmp_path, monkeypatch, capsys
):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    words = ["--config-file", NAME, "--weights", weights, "--input", photos / "a.png"]
    words += ["--output", tmp_path / "out", "--threshold", "0", "--attention", "4,4", *SMALL]
    run_tool(monkeypatch, words)
    assert capsys.readouterr().out.startswith("1 images, ")
    assert (tmp_path / "out" / "a_attention.png").is_file()


def run_tool(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["demo.py", *map(str, words)])
    runpy.run_path(str(ROOT / "tools" / "demo.py"), run_name="__main__")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attention", "500,4"], r"a.png: point \(500, 4\) is outside of the image, .* 96 x 64"),
        (["--attention", "there"], "--attention 'there': expected a point X,Y"),
        (
            ["--attention", "4,4", "--blocks", "res9.nl0"],
            "no block of that name; this model has backbone.bottom_up.res4.nl0, roi_heads",
        ),
        (["--attention", "keypoints", "--joints", "nose,tail"], "--joints tail: there are nose, "),
        (["--styles", "heat,fire"], "--styles='fire'; expected one of 'heat', 'arrows'"),
        (["--batch-size", "0"], "--batch-size 0: expected at least 1"),
        (["--threshold", "7"], "--threshold 7.0: expected a score"),
        (["--input", "nothing/*.png"], r"nothing/\*.png: no file, folder or pattern"),
    ],
)
def test_the_tool_says_in_one_line_what_is_wrong(
    words, said, weights, photos, tmp_path, monkeypatch
):
    start = ["--config-file", NAME, "--weights", weights, "--output", tmp_path, "--threshold", "0"]
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        run_tool(monkeypatch, [*start, "--input", photos / "a.png", *words, *SMALL])


def test_no_image_is_written_over(detector, tmp_path, monkeypatch):
    before = save_picture(tmp_path / "a.png", 64, 96).read_bytes()
    with pytest.raises(ValueError, match=r"a.png is read there, and would be written over"):
        run_demo(detector, [str(tmp_path)], options(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"walk.mp4 is read there"):
        run_video(detector, str(tmp_path / "walk.mp4"), options(Path()))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("a_attention.png", "4,4"),
        ("a_attention.png", "instances"),
        ("a_attention_2.png", "keypoints"),
        ("predictions.json", ""),
    ],
)
def test_neither_attention_nor_json_is_written_over_an_image(detector, tmp_path, name, of):
    photos = tmp_path / "photos"
    photos.mkdir()
    save_picture(photos / "a.png", 64, 96)
    out = tmp_path / "out"
    out.mkdir()
    before = save_picture(out / "other.png", 64, 96).rename(out / name).read_bytes()
    (photos / "b.png").symlink_to(out / name)  # its own result is b.png
    query = parse_query(of, most=2) if of else None
    with pytest.raises(ValueError, match=f"{name} is read there, and would be written over"):
        run_demo(detector, [str(photos)], options(out, query=query))
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_bytes() == before


def test_the_results_of_two_images_have_different_files(detector, tmp_path):
    for name in ("a.png", "a_attention.png"):
        save_picture(tmp_path / name, 64, 96)
    chosen = options(tmp_path / "out", query=parse_query("4,4"))
    with pytest.raises(ValueError, match="results of two images would be a_attention.png"):
        run_demo(detector, [str(tmp_path)], chosen)


def test_a_point_is_asked_in_the_smallest_detection_that_holds_it(detector):
    boxes = [[0, 0, 60, 60], [10, 10, 30, 30], [80, 0, 96, 64]]
    found = Instances((64, 96), pred_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32)))
    places = [(20.0, 20.0), (50.0, 50.0), (96.0, 64.0), (70.0, 5.0)]
    assert [instance_at(found, place) for place in places] == [1, 0, 2, None]
    with record_attention(detector.model) as maps:
        (found,) = detector([np.full((64, 96, 3), 90, np.uint8)])
    block = "keypoint_head.nl2"
    x, y = found[3].pred_boxes.get_centers()[0].tolist()
    chosen = found[[instance_at(found, (x, y))]]
    (look,) = attention_at(maps, AttentionQuery((x, y), (block,)), 0, found, detector.metadata)
    box = chosen.pred_boxes.tensor[0].tolist()
    assert look.maps[0].placement.box == pytest.approx(box, abs=1e-2)
    with pytest.raises(ValueError, match=r"nl2 sees the regions of detections, and none is at"):
        attention_at(maps, AttentionQuery((x, y), (block,)), 0, found[:0], detector.metadata)


def test_nothing_but_broken_files_is_an_error(detector, photos, tmp_path):
    with pytest.raises(ValueError, match=r"no image could be read: .*c.jpg: no image"):
        run_demo(detector, [str(photos / "c.jpg")], options(tmp_path))


def test_an_error_leaves_no_hook_behind(detector, photos, tmp_path):
    asked = options(tmp_path, query=AttentionQuery((500.0, 4.0)))
    with pytest.raises(ValueError, match="outside of the image") as kept:  # with its traceback
        run_demo(detector, [str(photos / "a.png")], asked)
    assert not any(m._forward_pre_hooks for m in detector.model.modules())
    del kept


def test_a_checkpoint_of_another_model_is_refused_with_what_differs(tmp_path):
    baseline = save_weights(tmp_path / "baseline.pth", "quick/mask_keypoint_rcnn_R18")
    names = r"backbone\.bottom_up\.res4\.nl0\.theta\.weight, ([\w.]+, ){4}\.\.\."
    with pytest.raises(ValueError, match=f"is of another model: 40 missing in the file: {names};"):
        load_detector(baseline)
    other = load_detector  # and one whose tensors have other shapes
    with pytest.raises(ValueError, match=r"of another shape: .*weight \(64, .* for \(32, "):
        other(save_weights(tmp_path / "nl.pth"), "MODEL.FPN.OUT_CHANNELS", "32")


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.pth: no such file of weights; give --weig"):
        load_detector(tmp_path / "none.pth")


def test_a_detector_reads_pixels_in_its_models_order(detector, monkeypatch):
    seen = []
    monkeypatch.setattr(detector, "model", lambda inputs: seen.extend(inputs) or [])
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0] = 200  # red
    detector([image])
    assert detector.cfg.INPUT.FORMAT == "BGR"
    assert [int(channel.max()) for channel in seen[0]["image"]] == [0, 0, 200]
    assert Detector.__call__(detector, []) == []


def test_the_names_are_those_of_the_weights(tmp_path, photos, messages):
    """Under a base config, whose data is another's."""
    two = ["MODEL.ROI_HEADS.NUM_CLASSES", "2", "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", "2"]
    names = {"thing_classes": ["cat", "dog"], "keypoint_names": ["nose", "tail"]}
    model = build_model(small_config(NAME, *two))
    query = parse_query("keypoints")
    for given in (names, None):
        SafeCheckpointer(model, str(tmp_path), names=given).save("model_final")
        detector = load_detector(tmp_path / "model_final.pth", *two)
        run_demo(detector, [str(photos / "a.png")], options(tmp_path, query=query))
        categories = json.loads((tmp_path / "predictions.json").read_text())["categories"]
        if given:
            assert [row["name"] for row in categories] == ["cat", "dog"]
            assert categories[0]["keypoints"] == ["nose", "tail"]
            assert detector.names == names
            continue
        assert {row["name"] for row in categories} <= {"0", "1"}
        assert detector.names == {}
        assert any("has 1 thing_classes, the model 2" in line for line in messages())


def test_the_datas_order_is_kept_where_the_names_are_the_same(tmp_path):
    two = ["MODEL.ROI_HEADS.NUM_CLASSES", "2", "DATASETS.TEST", "('ordered',)"]
    MetadataCatalog.get("ordered").set(thing_classes=["dog", "cat"])
    model = build_model(small_config(NAME, *two[:2]))
    SafeCheckpointer(model, str(tmp_path), names={"thing_classes": ["cat", "dog"]}).save("a")
    detector = load_detector(tmp_path / "a.pth", *two)
    MetadataCatalog.pop("ordered")
    assert detector.metadata.thing_classes == ["dog", "cat"]
    old, new = (one.roi_heads.box_predictor.cls_score.bias for one in (model, detector.model))
    assert torch.equal(old[[1, 0, 2]], new)
