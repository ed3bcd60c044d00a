"""The quickstart without its training: models without a head, and which object is drawn."""

from types import SimpleNamespace

import pytest
from detectron2.data import Metadata

from nonlocal_det.cli import quickstart
from nonlocal_det.configs import load_config


@pytest.mark.parametrize(
    ("options", "tasks"),
    [
        ([], ["bbox", "segm", "keypoints"]),
        (["MODEL.KEYPOINT_ON", "False"], ["bbox", "segm"]),
        (["MODEL.MASK_ON", "False"], ["bbox", "keypoints"]),
    ],
)
def test_a_model_without_a_head_is_judged_and_shown_by_the_others(
    options, tasks, monkeypatch, capsys
):
    trained = []

    def run(args):
        trained.append(load_config(quickstart.CONFIG, args.opts))
        return {task: {"AP": 90.0} for task in tasks}

    monkeypatch.setattr(quickstart, "make_mini_coco", lambda _: None)
    monkeypatch.setattr(quickstart, "run", run)
    monkeypatch.setattr(quickstart, "config_from_arguments", lambda args: SimpleNamespace())
    monkeypatch.setattr(quickstart, "draw", lambda cfg: {"losses": "out/losses.png"})
    quickstart.main(options)
    assert {row[0] for row in trained[0].TEST.EXPECTED_RESULTS} == set(tasks)
    printed = capsys.readouterr().out
    for task, title in quickstart.TASKS.items():
        assert (f"{title} |" in printed) is (task in tasks)
    assert "losses: out/losses.png" in printed


def test_the_attention_is_drawn_from_the_first_person():
    def record(name, *objects):
        keys = ("category_id", "bbox")
        return {
            "file_name": name,
            "annotations": [dict(zip(keys, o, strict=True)) for o in objects],
        }

    ball, person = (0, [0, 0, 2, 2]), (1, [10, 20, 4, 8])
    metadata = Metadata(thing_classes=["ball", "person"])
    records = [record("a.png", ball), record("b.png", ball, person)]
    file, point = quickstart.find_person(records, metadata)
    assert (file.name, point) == ("b.png", (12, 24))
    file, point = quickstart.find_person(records[:1], metadata)
    assert (file.name, point) == ("a.png", (1, 1))
