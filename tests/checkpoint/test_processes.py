"""Two processes continue from the same checkpoint, or stop together."""

import pytest
from detectron2.utils import comm
from torch import nn

from nonlocal_det.checkpoint import CheckpointError, SafeCheckpointer
from nonlocal_det.training import launch


def resume(folder: str) -> None:
    """Write what this process has continued from, or the error's text, into the folder."""
    model = nn.Linear(1, 1)
    try:
        SafeCheckpointer(model, folder).resume_or_load("", resume=True)
        said = str(model.weight.item())
    except CheckpointError as error:
        said = str(error)
    with open(f"{folder}/{comm.get_rank()}.txt", "w") as file:
        file.write(said)


@pytest.mark.slow
@pytest.mark.parametrize(("damaged", "said"), [(1, "1.0"), (2, "is whole")])
def test_processes_agree_on_the_last_whole_checkpoint(damaged, said, tmp_path):
    folder = tmp_path / "out"
    checkpointer = SafeCheckpointer(nn.Linear(1, 1), str(folder))
    for number in (1, 2):
        nn.init.constant_(checkpointer.model.weight, number)
        checkpointer.save(f"model_000000{number}")
    for number in (2, 1)[:damaged]:
        (folder / f"model_000000{number}.pth").write_bytes(b"")
    launch(resume, 2, device="cpu", args=(str(folder),))
    assert all(said in (folder / f"{rank}.txt").read_text() for rank in (0, 1))
