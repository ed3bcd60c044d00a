"""Metadata of nonlocal_det. Never imports torch, so it also works before torch is there."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def version() -> str:
    """The version stands once, in nonlocal_det/version.py."""
    scope: dict[str, str] = {}
    exec((ROOT / "nonlocal_det" / "version.py").read_text(), scope)
    return scope["__version__"]


class BuildWithConfigs(build_py):
    """Packs configs/ into the wheel as nonlocal_det/configs, without a second copy in the tree."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # an editable install reads configs/ where it lies
        target = Path(self.build_lib) / "nonlocal_det" / "configs"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT / "configs", target)


setup(
    name="nonlocal_det",
    version=version(),
    description="Non-local Neural Networks for detection, as a Detectron2 extension",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["nonlocal_det", "nonlocal_det.*"]),
    package_data={"nonlocal_det": ["py.typed"], "nonlocal_det.model_zoo": ["*.json"]},
    python_requires=">=3.10",
    # Detectron2 has no release on PyPI under its own name, and OpenCV has two names of which only
    # one may be installed: README.md, "Install", says how to get both.
    install_requires=[
        "torch>=2.2",
        "torchvision>=0.17",
        "numpy>=1.24",
        "Pillow>=9.5",
        "pycocotools>=2.0.7",
        "faster-coco-eval>=1.7",
        "fvcore>=0.1.5.post20221221",
        "matplotlib>=3.7",
        "safetensors>=0.4.3",
        "scipy>=1.10",
        "tabulate>=0.9",
        "tqdm>=4.64",
    ],
    extras_require={
        "opencv": ["opencv-python-headless>=4.8"],
        "export": ["onnx>=1.16", "onnxruntime>=1.18"],
        "explore": ["nicegui>=3.18,<4"],
        "dev": ["pytest>=8", "playwright>=1.50", "ruff==0.17.5", "mypy==2.4.1"],
        "bench": ["mmcv-lite>=2.1", "timm>=1.0"],
    },
    cmdclass={"build_py": BuildWithConfigs},
)
