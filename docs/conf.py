"""Configure Sphinx, and write the pages that are generated: config keys and commands.

Plain Sphinx with MyST (Markdown) and the theme Furo; `make docs` builds it.
"""

import inspect
import os
import re
import sys
from contextlib import redirect_stdout, suppress
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nonlocal_det import __version__  # noqa: E402

project = "nonlocal_det"
author = "The nonlocal_det authors"
version = release = __version__
html_title = f"nonlocal_det {version}"
html_theme = "furo"
html_static_path: list[str] = []
html_copy_source = False
html_show_copyright = False
smartquotes = False  # -- begins an option
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "generated"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True
default_role = "py:obj"  # `NonLocal` in a docstring is a link where that name is documented
napoleon_custom_sections = ["Shape"]


def setup(app: Sphinx) -> None:
    """Write the generated pages before anything is read; link pages beside docs/ to this site."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "generated"))
    app.connect("source-read", link_pages_of_the_root)
    app.connect("autodoc-process-docstring", escape_shapes)


def link_pages_of_the_root(app: Sphinx, name: str, source: list[str]) -> None:
    """Let ``../model_zoo.md`` mean this site's page of it; on GitHub it is the file itself."""
    if "/" not in name:
        source[0] = re.sub(r"\]\(\.\./(\w+\.md)", lambda match: f"]({match[1].lower()}", source[0])


def escape_shapes(app: Sphinx, *args: Any) -> None:
    """Keep ``(N, C, *S)`` from being read as the start of emphasis."""
    lines = args[-1]
    lines[:] = [x if "``" in x else re.sub(r"\*(?=[A-Z]\b|key)", r"\\*", x) for x in lines]


def write_pages(folder: Path) -> None:
    """Write ``options.md`` (config keys) and ``verbs.md`` (the help of each command)."""
    folder.mkdir(exist_ok=True)
    (folder / "options.md").write_text(key_tables())
    (folder / "verbs.md").write_text(verb_helps())


def key_tables() -> str:
    """Return a table of keys, defaults and meanings for each node of the config."""
    from detectron2.config import get_cfg

    from nonlocal_det.configs import add_nonlocal_config, add_video_config, config_leaves
    from nonlocal_det.layers import BlockOptions

    plain, ours = get_cfg(), get_cfg()
    add_nonlocal_config(ours)
    add_video_config(ours)
    known = dict(config_leaves(plain))
    said = comments(add_nonlocal_config) | comments(add_video_config)
    meaning = attributes(BlockOptions)
    option = {f.metadata["key"]: f for f in fields(BlockOptions) if "key" in f.metadata}
    tables: dict[str, list[str]] = {}
    for key, default in config_leaves(ours):
        if key in known:
            continue
        node, leaf = key.rsplit(".", 1)
        text = said.get(leaf, "")
        if key in option:
            text = meaning[option[key].name]
            choices = ", ".join(f"`{value!r}`" for value in option[key].metadata["choices"])
            text += f" Values: {choices}." * bool(choices)
        tables.setdefault(node, []).append(f"| `{leaf}`, `{default!r}` | {text} |")
    head = "| key, default | meaning |\n|---|---|\n"
    return "\n\n".join(f"## {node}\n\n{head}" + "\n".join(rows) for node, rows in tables.items())


def comments(function: Any) -> dict[str, str]:
    """Return the comment above each config key that a function sets; one may be of several keys."""
    found, text, fresh = {}, "", True
    for line in map(str.strip, inspect.getsource(function).splitlines()):
        if line.startswith("# "):
            text, fresh = (line[2:] if fresh else f"{text} {line[2:]}"), False
        elif match := re.match(r"[\w.]+\.([A-Z]\w+) = ", line):
            found[match[1]], fresh = text, True
    return found


def attributes(described: type) -> dict[str, str]:
    """Return what the section ``Attributes:`` of a class says of each, in Markdown."""
    section = inspect.getdoc(described).split("Attributes:\n")[1].split("\n\n")[0]  # type: ignore[union-attr]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).replace("``", "`") for name, text in entries}


def verb_helps() -> str:
    """Return the output of ``--help`` of every verb, each under its name."""
    from nonlocal_det import __main__ as program

    parts = []
    for verb, (_, line) in program.VERBS.items():
        words, out = patch.object(sys, "argv", ["", verb, "--help"]), StringIO()
        width = patch.dict(os.environ, {"COLUMNS": "82"})
        with words, width, redirect_stdout(out), suppress(SystemExit):
            program.main()
        parts.append(f"## {verb}\n\n{line[0].upper()}{line[1:]}.\n\n```text\n{out.getvalue()}```\n")
    return "\n".join(parts)
