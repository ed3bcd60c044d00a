"""A damaged checkpoint is named and set aside, the one before it is used, and none begins anew."""

import random
import zipfile

import pytest
import torch

from nonlocal_det.checkpoint import CheckpointError, DamagedError, read_checkpoint


def test_a_file_cut_off_at_any_byte_is_seen(run, tmp_path):
    content = (run.folder / "model_0000002.pth").read_bytes()
    path = tmp_path / "cut.pth"
    for size in [*range(200), *range(200, len(content) - 200, 7), *range(-200, 0)]:
        path.write_bytes(content[:size])
        with pytest.raises(DamagedError, match=r"cut\.pth"):
            read_checkpoint(path)
    path.write_bytes(content)
    read_checkpoint(path)


def test_a_flipped_bit_is_seen_or_changes_nothing(run, tmp_path):
    """Padding, dates and the like are in no checksum, and in no tensor."""
    content = (run.folder / "model_0000002.pth").read_bytes()
    path, generator, seen = tmp_path / "flipped.pth", random.Random(0), 0
    path.write_bytes(content)
    whole = repr(read_checkpoint(path))
    places = {*range(4), *range(len(content) - 200, len(content))}
    for at in sorted(places | set(generator.sample(range(len(content)), 500))):
        changed = bytearray(content)
        changed[at] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        try:
            assert repr(read_checkpoint(path)) == whole
        except DamagedError:
            seen += 1
    assert seen > 200


def test_every_flipped_byte_of_a_tensor_is_seen(run, tmp_path):
    content = (run.folder / "model_0000002.pth").read_bytes()
    tensor = torch.full((6,), 2.0).numpy().tobytes()
    start = content.index(tensor)
    for at in range(start, start + len(tensor)):
        changed = bytearray(content)
        changed[at] ^= 1
        (tmp_path / "flipped.pth").write_bytes(changed)
        with pytest.raises(DamagedError, match=r"flipped\.pth is not what was written"):
            read_checkpoint(tmp_path / "flipped.pth")


def test_a_checkpoint_with_the_seal_of_earlier_versions_is_continued_from(run):
    """They ended in a sha256 within the archive's comment."""
    path = run.folder / "model_0000002.pth"
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"nonlocal_det saved=00001700000000.000 sha256=" + b"0" * 64
    assert run.resume() == 2


@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "zeros", "text"])
def test_a_damaged_last_checkpoint_is_set_aside(run, how, caplog):
    path = run.folder / "model_0000002.pth"
    content = path.read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "flipped": content[:500] + bytes([content[500] ^ 4]) + content[501:],
        "empty": b"",
        "zeros": bytes(len(content)),
        "text": b"hello",
    }
    path.write_bytes(changed[how])
    assert run.resume() == 1
    assert run.files() == ["last_checkpoint", "model_0000001.pth", "model_0000002.pth.damaged"]
    assert "model_0000002.pth" in caplog.text
    assert "set aside as model_0000002.pth.damaged; taking the one before it" in caplog.text
    assert run.resume() == 1
    run.save(2)
    assert run.resume() == 2


def test_all_damaged_is_an_error_now_and_later(run):
    for path in run.folder.glob("model_*.pth"):
        path.write_bytes(b"")
    for _ in range(2):  # the second time they are aside already
        with pytest.raises(CheckpointError, match=r"no checkpoint in .*out is whole.*0000001\.pth"):
            run.resume()
    (run.folder / "last_checkpoint").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint in .*out is whole"):
        run.resume()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty or missing; continuing from model_0000002.pth"),
        (None, "is empty or missing; continuing from model_0000002.pth"),
        ("model_final.pth", "'model_final.pth', which is not there; continuing from model_0000002"),
        ("../../etc/passwd", "which is not there; continuing from model_0000002"),
        ("\udcff\udcfe", "which is not there; continuing from model_0000002"),
    ],
)
def test_a_name_that_is_wrong_or_was_not_written(run, name, said, caplog):
    tag = run.folder / "last_checkpoint"
    tag.unlink()
    if name is not None:
        tag.write_bytes(name.encode(errors="surrogateescape"))
    assert run.resume() == 2
    assert said in caplog.text


def test_a_name_without_checkpoints_says_what_to_do(make_run, tmp_path):
    run = make_run()
    run.folder.mkdir()
    assert not run.checkpointer.has_checkpoint()
    for name, what in (("", "is empty"), ("model_final.pth", "names 'model_final.pth'")):
        (run.folder / "last_checkpoint").write_text(name)
        with pytest.raises(FileNotFoundError, match=f"{what} and .* remove it to start anew"):
            run.resume()


def test_checkpoints_of_detectron2_are_continued_from(run):
    """As Detectron2 itself has written them, before the user came to this project."""
    path = run.folder / "model_0000003.pth"
    torch.save(torch.load(run.folder / "model_0000002.pth", weights_only=True), path)
    (run.folder / "last_checkpoint").write_text(path.name)
    assert run.resume() == 2
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-100:])
    assert run.resume() == 2
    assert path.name + ".damaged" in run.files()


def test_a_refused_checkpoint_is_not_set_aside(run):
    class Foreign:
        pass

    import sys

    sys.modules["__main__"].Foreign = Foreign
    Foreign.__module__, Foreign.__qualname__ = "__main__", "Foreign"
    path = run.folder / "model_0000003.pth"
    torch.save({"model": {}, "hook": Foreign()}, path)
    (run.folder / "last_checkpoint").write_text(path.name)
    with pytest.raises(CheckpointError, match="refused __main__.Foreign.*--trust-checkpoint"):
        run.resume()
    assert path.is_file()


def test_without_resume_the_weights_are_loaded(run, tmp_path):
    torch.save({"model": {"weight": torch.full((2, 3), 9.0)}}, tmp_path / "other.pth")
    run.checkpointer.resume_or_load(str(tmp_path / "other.pth"), resume=False)
    assert run.model.weight[0, 0] == 9
    assert run.counter.steps == 2


def test_the_best_one_is_not_continued_from(run):
    run.save(3, "model_best")
    (run.folder / "model_0000002.pth").write_bytes(b"")
    assert run.resume() == 1
