"""pyproject.toml says what the package imports, under which terms, and whose it is."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text()
BY_ITS_README = {"detectron2", "nonlocal_det"}
"""Detectron2 is not on the package index; the README says how to install it."""
WITH_NICEGUI = {"starlette", "fastapi"}


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def declared():
    """The dependencies and those of all extras."""
    lists = TEXT.split("dynamic =")[1].split("[project.urls]")[0]
    return [Requirement(text) for text in re.findall(r'"([A-Za-z][\w.-]*[<>=][^"]*)"', lists)]


def imported():
    names = set()
    for path in (ROOT / "nonlocal_det").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - BY_ITS_README - WITH_NICEGUI


@pytest.mark.parametrize("module", sorted(imported()))
def test_what_is_imported_is_declared(module):
    distributions = packages_distributions().get(module, [module])
    names = {normal(requirement.name) for requirement in declared()}
    assert {normal(name) for name in distributions} & names, f"pyproject.toml: {module}"


def test_the_metadata_has_terms_and_classifiers_and_urls():
    for line in ('license = "Apache-2.0"', "authors = [", "classifiers = [", "[project.urls]"):
        assert line in TEXT, line
    assert '"torch>=2.6"' in TEXT


def test_the_pins_are_within_the_declared_ranges():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = {normal(k): v for k, v in (line.split("==") for line in lines if "==" in line)}
    for requirement in declared():
        pin = pins.get(normal(requirement.name))
        assert pin is None or pin in requirement.specifier, requirement
