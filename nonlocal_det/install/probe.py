"""A script for a separate process: prints as JSON which packages work in this Python.

Separate, because a broken C++ extension may end the process, and because a failed import leaves
traces in it.
"""

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from types import ModuleType

CONFIG = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml"


def attempt(name: str) -> tuple[ModuleType | None, str | None]:
    """Import a module; return it or the reason why not (None and None: it is not installed)."""
    try:
        return importlib.import_module(name), None
    except Exception as error:  # whatever an import raises is reported
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            return None, None
        return None, f"{type(error).__name__}: {error}"


def tool_version(name: str) -> str | None:
    """The installed version of a distribution, without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def detectron2() -> dict[str, object]:
    """Detectron2's version, path and operators, or the reason why it does not work."""
    package, error = attempt("detectron2")
    operators = attempt("detectron2._C")[0] is not None
    report: dict[str, object] = {"error": error, "operators": operators}
    if package is None:
        return report
    report["path"] = package.__file__ and str(Path(package.__file__).parent)
    try:
        report["version"] = package.__version__
        for name in ("engine", "evaluation", "model_zoo"):
            importlib.import_module(f"detectron2.{name}")
        package.model_zoo.get_config_file(CONFIG)
    except Exception as failure:
        report["error"] = f"{type(failure).__name__}: {failure}"
    return report


def main() -> None:
    """Print one line of JSON, the last of the output."""
    here = str(Path(__file__).resolve().parent)
    # Python puts a script's own directory first, and ours holds a detectron2.py.
    sys.path[:] = [entry for entry in sys.path if str(Path(entry).resolve()) != here]
    report: dict[str, object] = {
        name: tool_version(name) for name in ("pip", "setuptools", "wheel")
    }
    for name in ("torch", "torchvision"):
        module, error = attempt(name)
        report[name] = getattr(module, "__version__", None)
        report[f"{name}_error"] = error
    report.update(detectron2())
    if report["error"]:
        owners = importlib.metadata.packages_distributions().get("detectron2", [None])
        report["distribution"] = owners[0]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
