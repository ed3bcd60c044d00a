"""Class indices keep their meaning: weights have the names they were trained with."""

import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.modeling import build_model
from safetensors import safe_open
from small_models import small_config
from torch import nn

from nonlocal_det.checkpoint import (
    CheckpointError,
    SafeCheckpointer,
    convert_weights,
    names_of_data,
    read_checkpoint,
)
from nonlocal_det.checkpoint.data_names import KEY
from nonlocal_det.video.classifier import VideoHead

CLASSES, JOINTS = ["person", "cat", "dog"], ["nose", "tail"]
NAMES = {"thing_classes": CLASSES, "keypoint_names": JOINTS}
OTHER_ORDER = {"thing_classes": ["dog", "person", "cat"], "keypoint_names": ["tail", "nose"]}
OTHER = {"thing_classes": ["person", "cat", "cow"], "keypoint_names": JOINTS}
SIZES = ["MODEL.ROI_HEADS.NUM_CLASSES", 3, "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", 2]


class State:
    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def detector(*options) -> nn.Module:
    return build_model(small_config("quick/nl_mask_keypoint_rcnn_R18", *SIZES, *options)).eval()


def save(folder, model, names=NAMES) -> str:
    SafeCheckpointer(model, str(folder), names=names).save("model_final")
    return str(folder / "model_final.pth")


@pytest.fixture
def image():
    return [{"image": torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8)}]


@pytest.mark.parametrize("options", [[], ["MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True]])
def test_the_same_names_in_another_order_are_found_under_their_names(options, image, tmp_path):
    options = [*options, "TEST.DETECTIONS_PER_IMAGE", 300]  # of all classes
    model, other = detector(*options), detector(*options)
    heads = model.roi_heads
    head = heads.box_predictor
    assert head.bbox_pred.out_features == (4 if True in options else 12)
    with torch.no_grad():  # so that the classes differ
        head.cls_score.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.0]))
        head.bbox_pred.bias.copy_(0.1 * torch.rand(len(head.bbox_pred.bias)))
        heads.mask_head.predictor.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    SafeCheckpointer(other, names=OTHER_ORDER, require="all").load(save(tmp_path, model))
    with torch.no_grad():
        (old,), (new,) = model(image), other(image)
    old, new = old["instances"], new["instances"]
    assert len(old) > 3
    torch.testing.assert_close(old.scores, new.scores)
    torch.testing.assert_close(old.pred_boxes.tensor, new.pred_boxes.tensor)
    assert torch.equal(old.pred_masks, new.pred_masks)
    torch.testing.assert_close(old.pred_keypoints, new.pred_keypoints[:, [1, 0]])
    names = [CLASSES[index] for index in old.pred_classes]
    assert len(set(names)) > 1
    assert [OTHER_ORDER["thing_classes"][index] for index in new.pred_classes] == names


def test_retinanet_has_its_classes_for_each_anchor(image, tmp_path):
    options = ["MODEL.META_ARCHITECTURE", "RetinaNet", "MODEL.RETINANET.NUM_CLASSES", 3]
    options += ["MODEL.BACKBONE.NAME", "build_retinanet_resnet_fpn_backbone"]
    options += ["MODEL.RESNETS.OUT_FEATURES", ["res3", "res4", "res5"]]
    options += ["MODEL.FPN.IN_FEATURES", ["res3", "res4", "res5"]]
    options += ["MODEL.RETINANET.SCORE_THRESH_TEST", 0.0, "MODEL.MASK_ON", False]
    options += ["MODEL.KEYPOINT_ON", False, "MODEL.ANCHOR_GENERATOR.SIZES", [[32]]]
    cfg = small_config("quick/mask_keypoint_rcnn_R18", *options)
    model, other = build_model(cfg).eval(), build_model(cfg).eval()
    nn.init.normal_(model.head.cls_score.weight, std=1)
    SafeCheckpointer(other, names=OTHER_ORDER, require="all").load(save(tmp_path, model))
    with torch.no_grad():
        (old,), (new,) = model(image), other(image)
    torch.testing.assert_close(old["instances"].scores, new["instances"].scores)
    names = [CLASSES[index] for index in old["instances"].pred_classes]
    assert len(set(names)) > 1
    assert [OTHER_ORDER["thing_classes"][i] for i in new["instances"].pred_classes] == names


def test_a_video_classifier_has_a_score_for_each_class(tmp_path):
    model, other = (nn.ModuleDict({"head": VideoHead(4, 3)}).eval() for _ in range(2))
    SafeCheckpointer(other, names=OTHER_ORDER, require="all").load(save(tmp_path, model))
    x = torch.rand(2, 4, 1, 7, 7)
    torch.testing.assert_close(model["head"](x)[..., [2, 0, 1]], other["head"](x))


def test_the_move_is_said_and_equal_names_are_not(tmp_path, caplog):
    path, model = save(tmp_path, detector()), detector()
    SafeCheckpointer(model, names=NAMES, require="all").load(path)
    assert "another order" not in caplog.text
    SafeCheckpointer(model, names=OTHER_ORDER, require="all").load(path)
    assert "thing_classes of the data in another order ('person' now 'dog', " in caplog.text
    assert "put into the data's in roi_heads.box_predictor.cls_score, " in caplog.text


def test_other_names_are_refused_or_said(tmp_path, caplog):
    path, model = save(tmp_path, detector()), detector()
    said = "other thing_classes .*first: 'dog'; only in the second: 'cow'.*--allow-unmatched"
    with pytest.raises(ValueError, match=said):
        SafeCheckpointer(model, names=OTHER, require="all").load(path)
    for require in ("backbone", "nothing"):  # fine-tuning
        caplog.clear()
        SafeCheckpointer(model, names=OTHER, require=require).load(path)
        assert "the weights are used as they are" in caplog.text


@pytest.mark.parametrize("names", [OTHER, OTHER_ORDER])
def test_a_training_is_not_continued_with_other_names(names, tmp_path, caplog):
    """Nothing is moved then: neither the model, nor what a hook has, as averaged weights."""
    whole = detector()
    save(tmp_path, whole)

    def resume(**options):
        model, state = detector(), {"trainer": State()}
        SafeCheckpointer(
            model, str(tmp_path), checkpointables=state, names=names, **options
        ).resume_or_load("", resume=True)
        return model

    with pytest.raises(
        ValueError, match=r"trained with other .*start a training from it: MODEL.WEIGHT"
    ):
        resume(require="backbone")
    resumed = resume(require="nothing").state_dict()
    assert "the weights are used as they are" in caplog.text
    assert all(torch.equal(value, resumed[name]) for name, value in whole.state_dict().items())


def test_names_of_heads_that_a_model_has_not_do_not_matter(tmp_path):
    options = ["MODEL.KEYPOINT_ON", False]
    path = save(tmp_path, detector(*options))
    names = {"thing_classes": CLASSES, "keypoint_names": ["a", "b", "c"]}
    SafeCheckpointer(detector(*options), names=names, require="all").load(path)


@pytest.mark.parametrize("names", [None, {}])
def test_weights_without_names_are_loaded_as_they_are(names, tmp_path, caplog):
    path = save(tmp_path, detector(), names)
    assert KEY not in read_checkpoint(tmp_path / "model_final.pth")
    SafeCheckpointer(detector(), names=OTHER, require="all").load(path)
    assert "thing_classes" not in caplog.text


def test_layers_of_other_packages_are_not_moved(tmp_path):
    class Foreign(nn.Linear):
        pass

    Foreign.__module__ = "elsewhere"
    path, model = save(tmp_path, detector()), detector()
    model.roi_heads.mask_head.more = Foreign(1, 1)
    with pytest.raises(ValueError, match=r"other keypoint_names .*: channels of elsewhere\."):
        SafeCheckpointer(model, names=OTHER_ORDER, require="all").load(path)


def test_names_that_are_no_names_are_refused(tmp_path):
    torch.save({"model": {}, KEY: {"thing_classes": [1]}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="data_names is .*expected lists of names"):
        SafeCheckpointer(nn.Linear(1, 1)).load(str(tmp_path / "a.pth"))


def test_a_conversion_keeps_the_names(tmp_path):
    save(tmp_path, nn.Linear(1, 1))
    convert_weights(tmp_path / "model_final.pth", tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert json.loads(file.metadata()[KEY]) == NAMES
    convert_weights(tmp_path / "a.safetensors", tmp_path / "b.pth")
    assert read_checkpoint(tmp_path / "b.pth")[KEY] == NAMES


def test_data_sets_of_one_run_must_agree(request):
    for name, classes in (("names_a", ["x", "y"]), ("names_b", ["y", "x"])):
        MetadataCatalog.get(name).set(thing_classes=classes)
        request.addfinalizer(lambda name=name: MetadataCatalog.pop(name))
    assert names_of_data(["names_a"]) == {"thing_classes": ["x", "y"]}
    with pytest.raises(ValueError, match="'names_a' and 'names_b' have other thing_classes"):
        names_of_data(["names_a", "names_b"])


@pytest.mark.parametrize("before", [{}, {"thing_classes": []}])
def test_a_data_set_that_names_its_classes_as_it_is_read_is_read(before, request):
    def load():
        MetadataCatalog.pop("names_late")
        MetadataCatalog.get("names_late").set(thing_classes=["x"])
        return []

    DatasetCatalog.register("names_late", load)
    request.addfinalizer(lambda: DatasetCatalog.remove("names_late"))
    request.addfinalizer(lambda: MetadataCatalog.pop("names_late"))
    MetadataCatalog.get("names_late").set(**before)
    assert names_of_data(["names_late"]) == {}
    assert names_of_data(["names_late"], read=True) == {"thing_classes": ["x"]}
