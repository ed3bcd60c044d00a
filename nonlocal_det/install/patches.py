"""The patches that turn Detectron2 0.6's source package into a pure-Python build for today.

A row that does not apply exactly as often as its count stops the build, so a changed archive is
noticed.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .commands import InstallError


@dataclass(frozen=True)
class Patch:
    """Replace a text in a file, exactly `count` times.

    Args:
        file: path below the root of the source package.
        old: the text to replace.
        new: its replacement.
        count: how often `old` occurs in the file.
        why: what breaks without it.
    """

    file: str
    old: str
    new: str
    count: int
    why: str


OPERATORS = "the C++ operators are not built; the placeholder names the one that is missed"
ALIAS = "NumPy 1.24 removed this alias of a Python type"
IMPORT_C = "from detectron2 import _C\n"
TRY_IMPORT_C = """\
try:
    from detectron2 import _C
except ImportError:
    from detectron2.utils.missing_ops import _C
"""

PATCHES = (
    # -- setup.py ----------------------------------------------------------------------------------
    Patch("setup.py", 'name="pb1-detectron2"', 'name="detectron2"', 1, "`pip show detectron2`"),
    Patch(
        "setup.py",
        'suffix = os.getenv("D2_VERSION_SUFFIX", "")',
        'suffix = "+purepython"',
        1,
        "pip must tell this build from the C++ one; detectron2.__version__ stays 0.6",
    ),
    Patch("setup.py", "ext_modules=get_extensions()", "ext_modules=[]", 1, "no C++ sources in it"),
    Patch("setup.py", '        "black==21.4b2",\n', "", 1, "a formatter is no need at run time"),
    Patch("setup.py", "iopath>=0.1.7,<0.1.10", "iopath>=0.1.7", 1, "0.1.10 works and is wanted"),
    Patch(
        "setup.py",
        '{"detectron2.model_zoo": get_model_zoo_configs()}',
        '{"detectron2.model_zoo": ["configs/*.yaml", "configs/*/*.yaml", "configs/*/*.py",'
        ' "configs/*/*/*.py"]}',
        1,
        "it looks for configs/ beside setup.py; in the source package they lie in model_zoo/",
    ),
    Patch(
        "setup.py",
        'exclude=("configs", "tests*")',
        'exclude=("configs", "tests*", "tools*")',
        1,
        "it would install its scripts as a top-level package called `tools`",
    ),
    # -- the missing operators ---------------------------------------------------------------------
    Patch("detectron2/layers/deform_conv.py", IMPORT_C, TRY_IMPORT_C, 1, OPERATORS),
    Patch("detectron2/layers/roi_align_rotated.py", IMPORT_C, TRY_IMPORT_C, 1, OPERATORS),
    Patch("detectron2/layers/rotated_boxes.py", IMPORT_C, TRY_IMPORT_C, 1, OPERATORS),
    Patch("detectron2/evaluation/fast_eval_api.py", IMPORT_C, TRY_IMPORT_C, 1, OPERATORS),
    Patch(
        "detectron2/evaluation/coco_evaluation.py",
        "        self._use_fast_impl = use_fast_impl\n",
        "        self._use_fast_impl = use_fast_impl\n"
        "        if use_fast_impl:\n"
        "            from detectron2.evaluation.fast_eval_api import _C\n\n"
        "            _C.COCOevalEvaluateImages  # if missing, raise before hours of inference\n",
        1,
        "the default is the C++ evaluation, which is first used after the whole inference",
    ),
    # -- libraries that have moved on --------------------------------------------------------------
    Patch(
        "detectron2/data/transforms/transform.py",
        "Image.LINEAR",
        "Image.BILINEAR",
        1,
        "Pillow 10 removed the alias",
    ),
    Patch(
        "detectron2/modeling/anchor_generator.py",
        "torch.meshgrid(shifts_y, shifts_x)",
        'torch.meshgrid(shifts_y, shifts_x, indexing="ij")',
        1,
        "PyTorch warns at every start that it will require the argument",
    ),
    Patch("detectron2/data/build.py", "dtype=np.int\n", "dtype=int\n", 1, ALIAS),
    Patch("detectron2/data/build.py", "dtype=np.int)", "dtype=int)", 1, ALIAS),
    Patch("detectron2/data/datasets/pascal_voc.py", "dtype=np.str)", "dtype=str)", 1, ALIAS),
    Patch("detectron2/evaluation/pascal_voc_evaluation.py", "(np.bool)", "(bool)", 2, ALIAS),
    Patch("detectron2/evaluation/sem_seg_evaluation.py", "dtype=np.int)", "dtype=int)", 2, ALIAS),
    Patch("detectron2/evaluation/sem_seg_evaluation.py", "np.float)", "float)", 5, ALIAS),
    Patch("detectron2/structures/masks.py", "np.bool)", "bool)", 3, ALIAS),
    Patch("detectron2/utils/visualizer.py", "(np.bool)", "(bool)", 3, ALIAS),
    Patch("detectron2/utils/video_visualizer.py", "dtype=np.bool)", "dtype=bool)", 1, ALIAS),
    Patch(
        "detectron2/export/__init__.py",
        "from .api import *\n",
        "",
        1,
        "it is Caffe2's, which has left PyTorch and must not take tracing and scripting with it",
    ),
    Patch(
        "detectron2/model_zoo/model_zoo.py",
        "import pkg_resources\n",
        "",
        1,
        "setuptools 81 removed pkg_resources",
    ),
    Patch(
        "detectron2/model_zoo/model_zoo.py",
        "pkg_resources.resource_filename(\n"
        '        "detectron2.model_zoo", os.path.join("configs", config_path)\n'
        "    )",
        'os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs", config_path)',
        1,
        "setuptools 81 removed pkg_resources",
    ),
)

# Files that are new in Detectron2, by the path they get there.
NEW_FILES = {"detectron2/utils/missing_ops.py": Path(__file__).with_name("missing_ops.py")}


def apply_patches(root: Path, patches: Iterable[Patch]) -> None:
    """Apply every patch to the unpacked source package, and add the new files.

    Raises:
        InstallError: a patch does not apply exactly `count` times.
    """
    for patch in patches:
        path = root / patch.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (times := text.count(patch.old)) != patch.count:
            raise InstallError(
                f"{patch.file}: found {times} times instead of {patch.count}: {patch.old!r} "
                f"(patched because: {patch.why}). The source package is not the one these patches "
                "were written for. Cure: `--source repository`, or correct "
                "nonlocal_det/install/patches.py"
            )
        path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
    for name, source in NEW_FILES.items():
        (root / name).write_bytes(source.read_bytes())


def fingerprint(patches: Iterable[Patch]) -> str:
    """The sha256 of a table and of the new files: what names a build."""
    digest = hashlib.sha256(repr(tuple(patches)).encode())
    for name, source in NEW_FILES.items():
        digest.update(name.encode() + source.read_bytes())
    return digest.hexdigest()
