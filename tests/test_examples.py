"""Two short examples of the block in other people's models: they run, print and learn."""

import re
import runpy
from pathlib import Path

import onnxruntime
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils.events import EventStorage
from torchvision.models import resnet50

from nonlocal_det.layers import NonLocalBlock, nonlocal_blocks

FOLDER = Path(__file__).parent / "examples"
TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"


def run(name, capsys, page):
    """What it leaves behind, its output being what its comments say."""
    path = FOLDER / f"{name}.py"
    assert len(path.read_text().splitlines()) <= 20
    left = runpy.run_path(str(path))
    said = re.findall(r"^print\(.*\)\s+# (.*)", path.read_text(), flags=re.MULTILINE)
    assert f"```python\n{path.read_text()}```" in (TUTORIALS / page).read_text()
    for line, comment in zip(capsys.readouterr().out.splitlines(), said, strict=True):
        assert comment.startswith(line)
    return left


def test_pointrend_trains_with_a_block(capsys):
    model = build_model(run("pointrend", capsys, "other_project.md")["cfg"])
    ((name, block),) = nonlocal_blocks(model).items()
    assert name == "backbone.bottom_up.res4.nl4"
    assert "PointRend" in type(model.roi_heads.mask_head).__name__
    boxes = torch.tensor([[4.0, 6, 44, 58], [50, 10, 90, 60]])
    masks = torch.zeros(2, 64, 96, dtype=torch.bool)
    masks[0, 6:58, 4:44] = masks[1, 10:60, 50:90] = True
    instances = Instances((64, 96), gt_boxes=Boxes(boxes), gt_classes=torch.zeros(2).long())
    instances.gt_masks = BitMasks(masks)
    image = torch.randint(0, 255, (3, 64, 96), dtype=torch.uint8)
    with EventStorage():
        losses = model.train()([{"image": image, "instances": instances}])
    assert "loss_mask_point" in losses
    losses["loss_mask_point"].backward()
    assert block.w_z.weight.grad.abs().max() > 0


def test_a_block_in_networks_of_other_kinds(capsys):
    left = run("anywhere", capsys, "own_network.md")
    resnet = left["resnet"]
    plain = resnet50()
    new = {name for name in resnet.state_dict() if name not in plain.state_dict()}
    assert new == {f"layer3.nl4.{name}" for name in resnet.layer3.nl4.state_dict()}
    assert list(dict(resnet.layer3.named_children())) == ["0", "1", "2", "3", "4", "nl4", "5"]
    resnet.load_state_dict(plain.state_dict(), strict=False)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():  # the identity until it has learnt, in its place
        assert torch.equal(resnet.eval()(x), plain.eval()(x))
        torch.nn.init.normal_(resnet.layer3.nl4.norm.weight)
        assert not torch.equal(resnet(x), plain(x))
    blocks = [left["video"].layer3.nl0, left["sound"][2]]
    assert [block.ndim for block in blocks] == [3, 1]
    assert all(isinstance(block, NonLocalBlock) for block in blocks)


def test_the_documents_lines_for_other_tools(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs" / "kernels.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    left = {}
    learnt = "\ntorch.nn.init.normal_(block.norm.weight)  # no longer the identity\nfree = "
    assert code.count("\nfree = ") == 1
    exec(code.replace("\nfree = ", learnt), left)
    resnet, block, x = left["resnet"], left["block"], torch.rand(2, 1024, 9, 12)
    with torch.no_grad():
        image = torch.rand(1, 3, 64, 96)
        maps = left["features"](image)["layer4"]
        torch.testing.assert_close(resnet.fc(maps.mean((2, 3))), resnet(image))
        torch.testing.assert_close(left["graph"].module()(x), block(x))
        session = onnxruntime.InferenceSession("block.onnx")
        (y,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.as_tensor(y), block(x), rtol=1e-4, atol=1e-4)
