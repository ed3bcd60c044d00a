"""Who may import whom: read from the sources, so that a wrong import cannot hide in a branch."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nonlocal_det"
D2 = {"detectron2", "fvcore", "iopath"}
NODES = {"configs", "detection", "files", "layers", "named_outputs", "video"}
SHARED = NODES | {
    "data",
    "synthetic",
    "checkpoint",
    "evaluation",
    "analysis",
    "visualization",
    "export",
    "model_zoo",
}
ROOMS = {  # room -> the rooms of the package it may import
    "files": set(),
    "install": {"files"},
    "layers": set(),
    "named_outputs": set(),
    "detection": {"layers", "named_outputs"},
    "video": {"layers", "named_outputs"},
    "configs": {"detection", "requirement", "video"},
    "checkpoint": NODES,
    "data": NODES,
    "synthetic": NODES | {"data"},
    "evaluation": NODES | {"data", "synthetic"},
    "analysis": NODES,
    "visualization": NODES | {"data"},
    "export": NODES | {"checkpoint"},
    "model_zoo": NODES | {"checkpoint"},
    "training": SHARED | {"version"},
    "inference": SHARED | {"cli", "training"},
    "explorer": SHARED | {"inference"},
    "experiments": SHARED | {"inference", "training"},
    "cli": SHARED | {"requirement", "training", "inference", "explorer", "experiments"},
    "__main__": {"requirement"},
    "requirement": {"install"},
    "version": set(),
}  # fmt: skip
FORBIDDEN = {
    "files": D2 | {"torch", "numpy", "cv2"},
    "layers": D2 | {"numpy", "cv2"},
    "named_outputs": D2 | {"numpy", "cv2"},
    "install": D2 | {"torch", "numpy", "cv2"},
}


def imports(path: Path) -> set[str]:
    """The modules a file imports, in full: relative ones resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} if node.module else {f"{module}.{a.name}" for a in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_what_it_may(path):
    room = room_of(path)
    allowed = ROOMS[room] | {room}
    if path.name == "probe.py":
        return  # a script for another process: it asks what can be imported
    for module in imports(path):
        if module.split(".")[0] == "nonlocal_det":
            assert module.split(".")[1] in allowed, f"{room} imports {module}"
        assert module.split(".")[0] not in FORBIDDEN.get(room, set()), f"{room} imports {module}"
        assert module.split(".")[0] not in {"benchmarks", "tools", "tests"}


def test_every_room_is_known():
    rooms = {room_of(path) for path in FILES}
    assert rooms == set(ROOMS)


def test_the_reader_of_imports_sees_them():
    assert "nonlocal_det.layers" in imports(PACKAGE / "detection" / "backbone.py")
    assert "nonlocal_det.layers.pairwise" in imports(PACKAGE / "layers" / "kernels" / "dense.py")
    assert "torch" in imports(PACKAGE / "layers" / "kernels" / "dense.py")
