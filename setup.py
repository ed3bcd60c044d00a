"""Packs configs/ into the wheel; all metadata is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithConfigs(build_py):
    """Copies configs/ into the wheel as nonlocal_det/configs; the tree has no second copy."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # an editable install reads configs/ of the checkout
        target = Path(self.build_lib) / "nonlocal_det" / "configs"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT / "configs", target)


setup(cmdclass={"build_py": BuildWithConfigs})
