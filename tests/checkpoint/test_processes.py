"""Two processes continue from the same checkpoint, or stop together."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from nonlocal_det.checkpoint import CheckpointError, SafeCheckpointer


def resume(rank: int, folder: str, meeting: str) -> None:
    """Write what this process has continued from, or the error's text, into the folder."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    model = nn.Linear(1, 1)
    try:
        SafeCheckpointer(model, folder).resume_or_load("", resume=True)
        said = str(model.weight.item())
    except CheckpointError as error:
        said = str(error)
    with open(f"{folder}/{rank}.txt", "w") as file:
        file.write(said)
    dist.destroy_process_group()


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
    torch.set_num_threads(1)
    mp.spawn(resume, nprocs=2, args=(str(folder), str(tmp_path / "meeting")))
    assert all(said in (folder / f"{rank}.txt").read_text() for rank in (0, 1))
