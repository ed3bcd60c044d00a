"""Who a process is among others, from the variables that torchrun sets."""

import pytest

from nonlocal_det.cli.train import train_net
from nonlocal_det.training.place import Place, place_from_environment

TORCHRUN = {  # of the third process in all, the first of the second machine
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "2",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}
ALONE = {"RANK": "0", "WORLD_SIZE": "1"}


def test_torchruns_variables_are_read():
    place = place_from_environment(TORCHRUN)
    assert place == Place(rank=2, world_size=4, local_rank=0, machine="1")
    assert str(place) == "process 2 of 4"


@pytest.mark.parametrize("environ", [{}, ALONE, {"LOCAL_RANK": "0"}, {"RANK": "x"}])
def test_a_process_of_its_own_has_no_place(environ):
    assert place_from_environment(environ) is None


def test_torchrun_with_one_process_has_one():
    environ = {**TORCHRUN, **ALONE}
    assert place_from_environment(environ) == Place(0, 1, 0, "1")


def test_without_a_number_of_the_machine_its_name_will_do(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node7")
    environ = {k: v for k, v in TORCHRUN.items() if not k.startswith(("TORCHELASTIC", "GROUP"))}
    place = place_from_environment(environ)
    assert place is not None
    assert place.machine == "node7"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORLD_SIZE", "two", "WORLD_SIZE='two': expected a whole number from 1"),
        ("WORLD_SIZE", "0", "WORLD_SIZE='0': expected a whole number from 1"),
        ("WORLD_SIZE", None, "WORLD_SIZE is not set"),
        ("RANK", "-1", "RANK='-1': expected a whole number from 0"),
        ("RANK", "4", "RANK=4 and WORLD_SIZE=4: expected a rank from 0 to 3"),
        ("LOCAL_RANK", "1.5", "LOCAL_RANK='1.5': expected a whole number from 0"),
        ("LOCAL_RANK", None, "LOCAL_RANK is not set"),
        ("MASTER_ADDR", "", "MASTER_ADDR is not set"),
        ("MASTER_PORT", None, "MASTER_PORT is not set"),
    ],
)
def test_what_is_wrong_with_them_is_said(name, value, said):
    environ = {k: v for k, v in {**TORCHRUN, name: value}.items() if v is not None}
    with pytest.raises(ValueError) as error:
        place_from_environment(environ)
    assert str(error.value).startswith(said)
    assert "torchrun" in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--num-gpus", "2"], "--num-gpus 2 under torchrun, which has started the processes"),
        (["--num-machines", "2", "--machine-rank", "1"], "--num-machines 2 --machine-rank 1 under"),
    ],
)
def test_options_that_contradict_torchrun_are_refused(options, said, monkeypatch, capsys):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    config = ["--config-file", "quick/nl_mask_keypoint_rcnn_R18", "MODEL.DEVICE", "cpu"]
    with pytest.raises(SystemExit) as stop:
        train_net([*options, *config])
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_an_error_in_all_processes_of_a_machine_is_printed_by_the_first(monkeypatch, capsys):
    for name, value in {**TORCHRUN, "LOCAL_RANK": "1", "RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        train_net(["--num-gpus", "2", "--config-file", "quick/nl_mask_keypoint_rcnn_R18"])
    assert stop.value.code == 1
    assert capsys.readouterr().err == ""
