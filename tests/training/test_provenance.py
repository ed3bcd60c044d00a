import hashlib
import json
import subprocess
import sys

import pytest

from nonlocal_det.configs import config_hash, load_config
from nonlocal_det.synthetic.register import register_mini_coco
from nonlocal_det.training import provenance

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with the package in it; `git` runs git there."""
    package = tmp_path / "repo" / "nonlocal_det"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "PACKAGE", package)

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(package.parent), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init")
    return package, git


def test_commit_is_that_of_the_checkout_and_marks_changes(checkout):
    package, git = checkout
    assert provenance.commit() == "-"  # in a repository, but none of its files
    git("add", ".")
    git("commit", "-m", "first")
    clean = provenance.commit()
    assert clean == git("rev-parse", "--short=12", "HEAD").strip()
    marks = set()
    for text in ("a = 1", "a = 2"):
        (package / "__init__.py").write_text(text)
        assert provenance.commit().startswith(clean + "+")
        marks.add(provenance.commit())
    (package / "new.py").write_text("b = 1")  # not yet known to git
    marks.add(provenance.commit())
    assert len(marks) == 3


def test_what_is_measured_is_no_change_of_the_code(checkout):
    package, git = checkout
    (package / "model_zoo").mkdir()
    (package / "model_zoo" / "zoo.json").write_text("[]")
    git("add", ".")
    git("commit", "-m", "first")
    clean = provenance.commit()
    (package / "model_zoo" / "zoo.json").write_text("[1]")
    assert provenance.commit() == clean
    (package / "model_zoo" / "rows.py").write_text("a = 1")
    assert provenance.commit() != clean


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() == "-"


def test_config_hash_knows_the_model_and_not_the_run():
    def hash_of(*options: object) -> str:
        cfg = load_config(CONFIG)
        cfg.merge_from_list(list(options))
        return config_hash(cfg)

    plain = hash_of()
    assert hash_of("SEED", 9, "OUTPUT_DIR", "x", "MODEL.DEVICE", "cpu") == plain
    assert hash_of("TEST.EXPECTED_RESULTS", []) == plain
    assert hash_of("SOLVER.MAX_ITER", 401) != plain
    assert hash_of("MODEL.NONLOCAL.PAIRWISE", "gaussian") != plain
    assert len(plain) == 12
    assert load_config(CONFIG).SEED == 1  # the caller's config is left as it is


def test_data_hash_is_that_of_the_annotations_as_they_are_now(mini_coco):
    name, path = "mini_coco_val", mini_coco / "mini_coco/annotations/instances_val2017.json"
    text = path.read_text()
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert provenance.data_hashes([name, name]) == {name: expected}
    try:
        path.write_text(json.dumps({**json.loads(text), "info": {}}) + " ")
        assert provenance.data_hashes([name])[name] not in (expected, "-")
    finally:
        path.write_text(text)


def test_data_that_is_not_here_has_no_hash(tmp_path):
    register_mini_coco(tmp_path)
    assert provenance.data_hashes(["mini_coco_val"]) == {"mini_coco_val": "-"}
    register_mini_coco()


def test_command_can_be_repeated(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tools/train_net.py", "DATASETS.TEST", "('a',)"])
    assert provenance.command() == "python tools/train_net.py DATASETS.TEST '('\"'\"'a'\"'\"',)'"
    monkeypatch.setattr(sys, "argv", [str(provenance.PACKAGE / "cli" / "train.py"), "-h"])
    assert provenance.command() == "python -m nonlocal_det.cli.train -h"


def test_hardware_names_the_processor():
    assert provenance.hardware("cpu", 2).endswith(", 2 threads")  # conftest.py: one each
    assert len(provenance.hardware("cpu")) > len(", 1 threads")
