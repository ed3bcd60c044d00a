"""A step whose losses or gradients are not finite: explain it, save its batch, stop or skip."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectron2.utils import comm
from torch import nn

from nonlocal_det.checkpoint import write_checkpoint

from .micro_batch import MicroBatch, shorten
from .nan_search import Diagnosis, diagnose
from .precision import Precision
from .saved_batch import FOLDER, SavedBatch, save_batch

logger = logging.getLogger("nonlocal_det")

CURE = (
    "Lower SOLVER.BASE_LR or raise SOLVER.WARMUP_ITERS, clip with SOLVER.CLIP_GRADIENTS.ENABLED "
    "True, or leave such steps out with --on-nonfinite skip-10"
)


class NonFiniteError(FloatingPointError, ValueError):
    """Losses or gradients are not finite; the weights are those of the step before."""


@dataclass(frozen=True)
class FailedStep:
    """A step with numbers that are not finite, as one process has computed it.

    Args:
        problem: what is not finite, in words; the same in every process.
        in_gradients: whether the losses are finite, and their gradients not.
        model: not wrapped; its weights are those before the step.
        batches: the micro-batches of this process.
        precision: as they were computed.
        iteration: from 0.
    """

    problem: str
    in_gradients: bool
    model: nn.Module
    batches: list[MicroBatch]
    precision: Precision
    iteration: int


@dataclass
class NonFiniteGuard:
    """Explains a step that failed, saves its batch, and stops the training or counts the step.

    Every process calls it for the same step, and all decide the same.

    Args:
        output_dir: of the training; the files go to its folder ``nonfinite``.
        limit: steps that may be left out, over restarts.
        config: of the training, as YAML.
        made_by: commit, command and versions, for the files.
        skipped: steps left out until now.
    """

    output_dir: Path
    limit: int = 0
    config: str = ""
    made_by: Mapping[str, Any] = field(default_factory=dict)
    skipped: int = 0
    _weights: tuple[str, int] = ("", 0)  # the last file of weights, and its iteration

    def state_dict(self) -> dict[str, int]:
        """Return the number of steps left out, for a restarted training."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue the count."""
        self.skipped = state["skipped"]

    def handle(self, step: FailedStep) -> None:
        """Explain and save a step; return if it may be left out.

        Raises:
            NonFiniteError: `limit` steps were left out before.
        """
        diagnoses = [_diagnose(step, batch) for batch in step.batches]
        gathered = comm.all_gather(self._save(step, diagnoses))
        details = dict.fromkeys(text for texts in gathered for text in texts)
        message = f"iteration {step.iteration}: {step.problem}; {'; '.join(details)}"
        self.skipped += 1
        if self.skipped > self.limit:
            before = f" ({self.limit} such steps were left out before)" if self.limit else ""
            raise NonFiniteError(f"{message}{before}. {CURE}")
        logger.warning(f"{message}. The step is left out, {self.skipped} of at most {self.limit}")

    def _save(self, step: FailedStep, diagnoses: list[Diagnosis | None]) -> list[str]:
        """Write the first micro-batch that fails again; return the diagnosis and the file.

        Where none fails again in any process, all processes write.
        """
        failing = [n for n, diagnosis in enumerate(diagnoses) if diagnosis is not None]
        anywhere = any(comm.all_gather(bool(failing)))
        try:
            self._save_weights(step)
            if anywhere and not failing:
                return []  # the fault is in another process's batch
            batch = step.batches[failing[0] if failing else 0]
            name = f"batch_{step.iteration:07d}_process{comm.get_rank()}.pth"
            path = self.output_dir / FOLDER / name
            save_batch(path, self._describe(step, batch))
        except (OSError, ValueError) as error:
            return [*_explain(step, diagnoses), f"its batch could not be saved: {error}"]
        return [
            *_explain(step, diagnoses),
            f"run it again with `python -m nonlocal_det replay {path}`",
        ]

    def _save_weights(self, step: FailedStep) -> None:
        """Write the whole model with the first step that fails and with the one that stops."""
        if self._weights[0] and self.skipped < self.limit:
            return
        self._weights = (f"weights_{step.iteration:07d}.pth", step.iteration)
        if comm.is_main_process():
            path = self.output_dir / FOLDER / self._weights[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {"model": dict(step.model.state_dict()), "iteration": step.iteration}
            write_checkpoint(path, content)

    def _describe(self, step: FailedStep, batch: MicroBatch) -> SavedBatch:
        precision = step.precision
        return SavedBatch(
            batch=batch.data,
            share=batch.share,
            rng_state=batch.rng_state,
            device=str(precision.device),
            autocast=str(precision.dtype).removeprefix("torch.") if precision.dtype else "",
            scale=precision.scale,
            config=self.config,
            problem=step.problem,
            iteration=step.iteration,
            process=comm.get_rank(),
            processes=comm.get_world_size(),
            gradients=step.in_gradients,
            weights=self._weights[0],
            weights_iteration=self._weights[1],
            made_by=dict(self.made_by),
        )


def _diagnose(step: FailedStep, batch: MicroBatch) -> Diagnosis | None:
    try:
        return diagnose(step.model, batch, step.precision, gradients=step.in_gradients)
    except RuntimeError as error:  # as out of memory: the problem itself must be reported
        return Diagnosis(f"looking for the module failed ({str(error).splitlines()[0]})", [])


def _explain(step: FailedStep, diagnoses: list[Diagnosis | None]) -> list[str]:
    """Return where the step fails, and with which images."""
    failing = [diagnosis for diagnosis in diagnoses if diagnosis is not None]
    images = [name for batch in step.batches for name in batch.images]
    if not failing:
        return ["computed again, it is finite", f"images: {shorten(images)}"]
    alone = [name for diagnosis in failing for name in diagnosis.images]
    if alone and len(alone) < len(images):
        return [failing[0].where, f"alone it happens with {shorten(alone)}"]
    each = ", each of them alone" if alone else ""
    return [failing[0].where, f"images: {shorten(images)}{each}"]
