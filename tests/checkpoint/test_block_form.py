"""A checkpoint whose blocks were trained in another form is named: its tensors all fit."""

import pytest
import torch
from detectron2.modeling import build_model

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.configs import load_config
from nonlocal_det.detection.config import block_options

NAME = "quick/nl_mask_keypoint_rcnn_R18"


def saved(folder, *options):
    cfg = load_config(NAME, options, device="cpu")
    made_by = {"config": cfg.dump()}
    SafeCheckpointer(build_model(cfg), str(folder), made_by=made_by).save("model_final")
    (folder / "config.yaml").write_text(cfg.dump())
    return str(folder / "model_final.pth")


@pytest.mark.parametrize(
    ("trained", "built", "expected"),
    [
        (["SCALE", "False"], ["SCALE", "True"], "MODEL.NONLOCAL.SCALE False"),
        (["SUBSAMPLE", "before"], [], "MODEL.NONLOCAL.SUBSAMPLE before"),
        (["PRESET", "authors_code"], ["SCALE", "True"], "MODEL.NONLOCAL.SUBSAMPLE before"),
        (["PRESET", "authors_code"], ["SUBSAMPLE", "before", "SCALE", "True"], ""),
        (["KERNEL", "dense"], [], ""),
    ],
)
def test_another_form_is_warned_of_with_its_keys(trained, built, expected, tmp_path, messages):
    def options(pairs):
        return [f"MODEL.NONLOCAL.{word}" if word.isupper() else word for word in pairs]

    path = saved(tmp_path, *options(trained))
    SafeCheckpointer(build_model(load_config(NAME, options(built), device="cpu"))).load(path)
    warned = [text for text in messages() if "another form" in text]
    assert len(warned) == bool(expected)
    if expected:
        assert warned[0].endswith(f"give {expected} for the numbers of the training")


def test_a_config_of_before_a_key_came_has_its_default(tmp_path, messages):
    made_by = {"config": "MODEL: {NONLOCAL: {PRESET: authors_code}}"}
    model = build_model(load_config(NAME, ["MODEL.NONLOCAL.PRESET", "paper"], device="cpu"))
    SafeCheckpointer(model, str(tmp_path), made_by=made_by).save("model_final")
    SafeCheckpointer(model).load(str(tmp_path / "model_final.pth"))
    (warned,) = [text for text in messages() if "another form" in text]
    assert "give MODEL.NONLOCAL.SUBSAMPLE before MODEL.NONLOCAL.SCALE True for" in warned


def test_a_checkpoint_that_does_not_say_its_form_loads(tmp_path, messages):
    model = build_model(load_config(NAME, device="cpu"))
    node = "MODEL: {NONLOCAL: {PRESET: unknown}}"
    for made_by in (None, "me", {}, {"config": 1}, {"config": "a: b: c"}, {"config": node}):
        torch.save({"model": model.state_dict(), "made_by": made_by}, tmp_path / "a.pth")
        SafeCheckpointer(model).load(str(tmp_path / "a.pth"))
    assert not any("another form" in text for text in messages())


def test_a_configs_own_dump_keeps_its_form(tmp_path):
    """As it was written before the packaged config had another preset than the default."""
    cfg = load_config(NAME, ["MODEL.NONLOCAL.PRESET", "paper"], device="cpu")
    (tmp_path / "config.yaml").write_text(cfg.dump())
    again = load_config(str(tmp_path / "config.yaml"), device="cpu")
    assert again.MODEL.NONLOCAL.SCALE is None
    assert block_options(again).scale is False
