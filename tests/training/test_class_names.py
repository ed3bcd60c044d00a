"""Class indices keep their meaning between a training's checkpoint and the data of a later run."""

import json
from pathlib import Path

import pytest
import torch
from lively_model import lively_model
from tiny_training import TINY

from nonlocal_det.checkpoint import SafeCheckpointer, read_checkpoint
from nonlocal_det.cli import train
from nonlocal_det.cli.arguments import build_argument_parser
from nonlocal_det.data.coco_data import forget
from nonlocal_det.synthetic.mini_coco import CATEGORY_IDS

NAME = "quick/mask_keypoint_rcnn_R18"
BOXES = ["MODEL.MASK_ON", "False", "MODEL.KEYPOINT_ON", "False"]
BOXES += ["MODEL.ROI_HEADS.NUM_CLASSES", "5"]


def run(data: str, json_file: Path, images: Path, *words: str) -> dict:
    """Train or evaluate with a json under a name that is registered anew."""
    forget(data)
    words = ("--config-file", NAME, "--coco-data", data, str(json_file), str(images), *words)
    sets = ["DATASETS.TRAIN", f"('{data}',)", "DATASETS.TEST", f"('{data}',)"]
    words = (*words, "DATALOADER.NUM_WORKERS", "0", *TINY, *BOXES, *sets)
    return train.run(build_argument_parser().parse_args(words))


@pytest.fixture
def images(mini_coco):
    yield mini_coco / "mini_coco" / "val2017"
    forget("numbered")


@pytest.fixture
def content(mini_coco):
    path = mini_coco / "mini_coco" / "annotations" / "instances_val2017.json"
    return json.loads(path.read_text())


def renumbered(content: dict, ids: dict[str, int]) -> dict:
    """The same objects and names; the indices are those of the ids in order."""
    names = {row["id"]: row["name"] for row in content["categories"]}
    rows = [{**row, "id": ids[row["name"]]} for row in content["categories"]]
    annotations = [
        {**row, "category_id": ids[names[row["category_id"]]]} for row in content["annotations"]
    ]
    return {**content, "categories": rows, "annotations": annotations}


def write(path: Path, content: dict) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_the_same_names_numbered_otherwise_have_the_same_ap(content, images, tmp_path):
    model = lively_model(NAME, *BOXES)
    with torch.no_grad():  # all classes are found
        model.roi_heads.box_predictor.cls_score.bias.copy_(torch.rand(6))
    names = {"thing_classes": list(CATEGORY_IDS)}
    SafeCheckpointer(model, str(tmp_path), names=names).save("weights")
    words = ["--eval-only", "MODEL.WEIGHTS", str(tmp_path / "weights.pth")]
    words += ["MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0", "OUTPUT_DIR", str(tmp_path / "out")]
    run("numbered", write(tmp_path / "a.json", content), images, *words)
    found = json.loads((tmp_path / "out/inference/coco_instances_results.json").read_text())
    content["annotations"] = []  # some of what the model finds is the truth
    for image in content["images"]:
        for row in [row for row in found if row["image_id"] == image["id"]][::7]:
            x, y, w, h = row["bbox"]
            if min(w, h) > 4:
                truth = {"iscrowd": 0, "area": w * h, "id": len(content["annotations"]) + 1}
                truth |= {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]}
                content["annotations"].append({**row, **truth})
    assert len({row["category_id"] for row in content["annotations"]}) > 1
    results = []
    otherwise = dict(zip(CATEGORY_IDS, (9, 4, 2, 5, 1), strict=True))
    for name, ids in (("b", CATEGORY_IDS), ("c", otherwise)):
        json_file = write(tmp_path / f"{name}.json", renumbered(content, ids))
        results.append(run("numbered", json_file, images, *words)["bbox"])
    assert results[0]["AP"] > 5
    assert results[0] == pytest.approx(results[1], nan_ok=True)
    content["categories"][0]["name"] = "horse"
    with pytest.raises(ValueError, match=r"weights.pth .*first: 'person'; .*second: 'horse'"):
        run("numbered", write(tmp_path / "d.json", content), images, *words)


def test_a_training_saves_the_names_and_is_not_resumed_with_others(content, images, tmp_path):
    words = ["SOLVER.MAX_ITER", "1", "OUTPUT_DIR", str(tmp_path / "out"), "TEST.EVAL_PERIOD", "0"]
    words += ["DATASETS.TEST", "()"]
    json_file = write(tmp_path / "a.json", content)
    run("numbered", json_file, images, *words)
    saved = read_checkpoint(tmp_path / "out" / "model_final.pth")
    assert saved["data_names"]["thing_classes"] == list(CATEGORY_IDS)
    content["categories"][0]["name"] = "horse"
    words[1] = "2"
    with pytest.raises(ValueError, match=r"'person'; .*'horse'.*continue with the data it was"):
        run("numbered", write(json_file, content), images, "--resume", *words)
    words += ["MODEL.WEIGHTS", str(tmp_path / "out" / "model_final.pth")]
    words[words.index("OUTPUT_DIR") + 1] = str(tmp_path / "finetuned")
    run("numbered", json_file, images, *words)
    saved = read_checkpoint(tmp_path / "finetuned" / "model_final.pth")
    assert saved["data_names"]["thing_classes"][0] == "horse"
