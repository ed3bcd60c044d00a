"""Detectron2's checkpointer, for files that a kill cannot halve and a stranger can have made."""

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from detectron2.checkpoint import DetectionCheckpointer
from detectron2.checkpoint.c2_model_loading import convert_c2_detectron_names
from detectron2.utils import comm
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from nonlocal_det.files import remove_partial

from . import folder
from .block_form import describe_other_form
from .data_names import KEY, Names, fit_names, read_names
from .errors import CheckpointError
from .matching import inflate_kernels, match_names
from .reading import Checkpoint, read_checkpoint
from .report import LoadReport, as_tensors, describe_load
from .writing import write_checkpoint

logger = logging.getLogger("nonlocal_det")

Required = Literal["nothing", "backbone", "all"]


@dataclass(frozen=True)
class CheckpointOptions:
    """The choices of a command line, not of a config: they change no result.

    Args:
        keep_last: numbered checkpoints that stay; None: all.
        keep_best: a metric, as ``bbox/AP``, whose best value's checkpoint stays as model_best.pth;
            with ``:min`` after it if less is better.
        trust: execute what a checkpoint says as it is loaded.
        allow_unmatched: train even if a tensor of the backbone, or on resuming any, came out of no
            file.
        made_by: what goes into each checkpoint: commit, config, versions.
    """

    keep_last: int | None = None
    keep_best: str | None = None
    trust: bool = False
    allow_unmatched: bool = False
    made_by: Mapping[str, Any] = field(default_factory=dict)


class SafeCheckpointer(DetectionCheckpointer):
    """Saves so that a whole checkpoint is always there; loads files as data.

    A drop-in for Detectron2's `DetectionCheckpointer`, in whose format it writes and reads. More
    state of a training is added by `add_checkpointable`.

    Args:
        model: the network, or its DistributedDataParallel.
        save_dir: a local or mounted folder; made if it is not there.
        save_to_disk: whether `save` does anything; by default in the main process alone.
        checkpointables: objects with ``state_dict`` and ``load_state_dict``, by their names.
        made_by: what goes into each file beside them: the commit, the config, versions.
        keep_last: how many numbered checkpoints stay; None: all.
        require: what a load must fill, else it stops: the ``backbone`` but for what such files
            need not have, ``all`` tensors with none left over, or ``nothing``. When resuming,
            ``backbone`` means ``all``.
        trust: execute what files say as they are loaded.
        names: of the data, as `names_of_data` gives them: saved with the model, and compared with
            those of a file that is loaded. The channels of the same names in another order are
            moved; other names are refused where all is required, else logged.

    Raises:
        ValueError: ``save_dir`` is a URL, or ``keep_last`` is below 1.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        save_to_disk: bool | None = None,
        checkpointables: Mapping[str, Any] | None = None,
        made_by: Mapping[str, Any] | None = None,
        keep_last: int | None = None,
        require: Required = "nothing",
        trust: bool = False,
        names: Names | None = None,
    ) -> None:
        if "://" in save_dir:
            raise ValueError(
                f"OUTPUT_DIR={save_dir!r} is a URL; checkpoints are renamed into place, which "
                "takes a local or mounted folder"
            )
        if keep_last is not None and keep_last < 1:
            raise ValueError(
                f"--keep-checkpoints {keep_last}: expected 1 or more; leave it out to keep all"
            )
        super().__init__(model, save_dir, save_to_disk=save_to_disk, **(checkpointables or {}))
        self.made_by = dict(made_by or {})
        self.keep_last = keep_last
        self.require = require
        self.trust = trust
        self.names = names or {}
        self.loaded_names: Names = {}
        self.report: LoadReport | None = None
        self._source = ""
        self._required: Required = require
        self._resuming = False

    def save(self, name: str, **extra: Any) -> None:
        """Write ``name.pth`` with everything, then its name into ``last_checkpoint``.

        Args:
            name: as ``model_0004999``; `folder.TO_USE` do not become the last checkpoint.
            extra: more plain data, as ``iteration``.

        Raises:
            CheckpointError: there is no room, or the disk refused; what was there before is whole.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        path = Path(self.save_dir) / f"{name}.pth"
        data = {"model": self.model.state_dict(), "made_by": self.made_by}
        if self.names:
            data[KEY] = self.names
        data.update({key: one.state_dict() for key, one in self.checkpointables.items()})
        data.update(extra)
        logger.info(f"Saving checkpoint to {path}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_partial(path.parent)
            write_checkpoint(path, data)
            if name not in folder.TO_USE:
                self.tag_last_checkpoint(path.name)
                if self.keep_last is not None:
                    folder.prune(path.parent, self.keep_last, path)
        except OSError as error:
            raise CheckpointError(self._full(path, error)) from error

    def _full(self, path: Path, error: OSError) -> str:
        last = self.get_checkpoint_file() if super().has_checkpoint() else ""
        whole = f"{last}; continue from it with --resume" if last else "there is none yet"
        cure = "look at the disk"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            cure = "make room, or keep fewer with --keep-checkpoints"
        return (
            f"{path} could not be saved: {error.strerror or error}; {cure}. The last checkpoint: "
            f"{whole}"
        )

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Name the last checkpoint, whose file is on the disk.

        Raises:
            OSError: the name cannot be written; the one before is there still.
        """
        folder.write_last_checkpoint(Path(self.save_dir), last_filename_basename)

    def has_checkpoint(self) -> bool:
        """Whether a training has saved in the folder, even if a kill or damage left no name."""
        return bool(self.save_dir) and folder.has_checkpoint(Path(self.save_dir))

    def resume_or_load(self, path: str, *, resume: bool = True) -> dict[str, Any]:
        """Continue from the folder's last whole checkpoint, or load a model from ``path``.

        Args:
            path: a file or URL of weights; ``""`` for none.
            resume: whether to continue if there is a checkpoint.

        Returns:
            What the checkpoint holds beside what was loaded.

        Raises:
            CheckpointError: there are checkpoints and none is whole, or a file is refused.
            ValueError: a required tensor was not filled.
        """
        if not (resume and self.has_checkpoint()):
            return self.load(path, checkpointables=[])
        last = self._last_whole()
        self._required = "all" if self.require == "backbone" else self.require
        self._resuming = True
        try:
            return self.load(str(last))
        finally:
            self._required, self._resuming = self.require, False

    def _last_whole(self) -> Path:
        """The same file in every process; the main one has looked, and set damaged ones aside."""
        found: Path | None = None
        problem: Exception | None = None
        if comm.is_main_process():
            try:
                found = folder.last_whole(Path(self.save_dir), trust=self.trust)
            except (CheckpointError, FileNotFoundError) as error:
                problem = error  # raised below, in every process: none waits for the others
        found, problem = comm.all_gather((found, problem))[0]
        if problem is not None or found is None:
            raise problem or CheckpointError(f"no checkpoint in {self.save_dir}")
        return found

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load a model, and what else is asked for.

        Args:
            path: a file or URL; ``""`` for none.
            checkpointables: their names; None: all.

        Returns:
            What the file holds beside them.

        Raises:
            CheckpointError: the file is damaged or refused.
            ValueError: a required tensor was not filled.
        """
        self._source, self.report = path, None
        try:
            rest: dict[str, Any] = super().load(path, checkpointables)
        finally:
            self._parsed_url_during_load = None  # Detectron2's main leaves it after an error
        if other := describe_other_form(rest.get("made_by"), self.model):
            logger.warning(
                f"{path} was trained with another form of the non-local blocks than the model "
                f"has; give {other} for the numbers of the training"
            )
        return rest

    def _load_file(self, filename: str) -> Checkpoint:
        """Called by `load` with a local path."""
        loaded = read_checkpoint(Path(filename), trust=self.trust)
        url = getattr(
            self, "_parsed_url_during_load", None
        )  # main's: file?matching_heuristics=True
        if url is not None and "matching_heuristics=True" in url.query.split("&"):
            loaded["matching_heuristics"] = True
        return loaded

    def _load_model(self, checkpoint: Checkpoint) -> Any:
        state = as_tensors(checkpoint["model"], self._source)
        consume_prefix_in_state_dict_if_present(state, "module.")  # of a DistributedDataParallel
        wanted = self.model.state_dict()
        if checkpoint.pop("matching_heuristics", False):
            if checkpoint.get("__author__") == "Caffe2":
                state, _ = convert_c2_detectron_names(state)
            state = match_names(wanted, state)
        inflated = inflate_kernels(wanted, state)
        self.loaded_names = read_names(checkpoint.pop(KEY, None), self._source)
        self._fit_names(state)
        names = list(state)
        checkpoint["model"] = state
        found = super()._load_model(checkpoint)
        self.report = describe_load(self.model, self._source, found, names, inflated)
        return found

    def _fit_names(self, state: dict[str, Tensor]) -> None:
        resuming = self._resuming and bool(self.checkpointables)
        refuse = ""
        if self._required == "all":
            refuse = "give data with its names in its order, or --allow-unmatched to use it so"
        if self._required == "all" and resuming:
            refuse = (
                "continue with the data it was trained with, or start a training from it: "
                "MODEL.WEIGHTS and another OUTPUT_DIR"
            )
        fit_names(
            self.model,
            state,
            self.loaded_names,
            self.names,
            source=self._source,
            resuming=resuming,
            refuse=refuse,
        )

    def _log_incompatible_keys(self, incompatible: Any) -> None:
        """Called by `load` after the model is filled, before the rest of the training is."""
        report = self.report
        if report is None:
            return
        logger.log(logging.INFO if report.fits() else logging.WARNING, f"loaded {report}")
        if self._required == "all" and not report.fits():
            raise ValueError(
                f"{report.source} is of another model: {'; '.join(report.details())}; give "
                "the config it was trained with, or --allow-unmatched to go on all the same"
            )
        lacking = report.unmatched_backbone if self._required == "backbone" else []
        if lacking:
            raise ValueError(
                f"{report.source} leaves {len(lacking)} tensors of the backbone as they were, as "
                f"{lacking[0]}: it is of another architecture or norm (the table above has all); "
                "give weights that fit, or --allow-unmatched to train all the same"
            )
