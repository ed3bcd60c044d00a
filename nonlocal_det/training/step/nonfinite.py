"""What becomes of a step whose losses or gradients are not finite: explained, kept, and its end."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectron2.utils import comm
from torch import nn

from .diagnosis import Finding, diagnose, some
from .parts import Part, images_of
from .precision import Precision
from .reproduction import FOLDER, Circumstances, save_batch, save_weights

logger = logging.getLogger("nonlocal_det")

CURE = (
    "Lower SOLVER.BASE_LR or raise SOLVER.WARMUP_ITERS, clip with SOLVER.CLIP_GRADIENTS.ENABLED "
    "True, or leave such steps out with --on-nonfinite skip-10"
)


class NonFiniteError(FloatingPointError, ValueError):
    """A training's numbers went wrong; the weights are those of the step before."""


@dataclass(frozen=True)
class Problem:
    """What is not finite in a step, the same in every process.

    Args:
        what: in words.
        gradients: whether the losses are finite, and their gradients not.
    """

    what: str
    gradients: bool = False


@dataclass(frozen=True)
class Step:
    """A step that failed, as one process sees it.

    Args:
        model: not wrapped; its weights are those before the step.
        parts: of this process's batch.
        precision: as they were computed.
        iteration: from 0.
    """

    model: nn.Module
    parts: list[Part]
    precision: Precision
    iteration: int


@dataclass
class NonFiniteGuard:
    """Explains a step that failed, keeps its batch in a file, and stops the training or counts it.

    Every process calls it for the same step, and all decide alike.

    Args:
        output_dir: of the training; the files go to its folder ``nonfinite``.
        limit: steps that may be left out, over restarts.
        config: of the training, as YAML.
        made_by: commit, command and versions, for the files.
    """

    output_dir: Path
    limit: int = 0
    config: str = ""
    made_by: Mapping[str, Any] = field(default_factory=dict)
    skipped: int = 0
    _weights: tuple[str, int] = ("", 0)  # the last file of weights, and its iteration

    def state_dict(self) -> dict[str, int]:
        """How many steps were left out: a restarted training goes on counting."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on counting."""
        self.skipped = state["skipped"]

    def handle(self, problem: Problem, step: Step) -> None:
        """Explain, keep, and return if the step may be left out.

        Raises:
            NonFiniteError: it may not.
        """
        looked = [_look(step, part, gradients=problem.gradients) for part in step.parts]
        said = self._keep(problem, step, looked)
        told = [one for each in comm.all_gather(said) for one in each]
        message = f"iteration {step.iteration}: {problem.what}; {'; '.join(dict.fromkeys(told))}"
        self.skipped += 1
        if self.skipped > self.limit:
            before = f" ({self.limit} such steps were left out before)" if self.limit else ""
            raise NonFiniteError(f"{message}{before}. {CURE}")
        logger.warning(f"{message}. The step is left out, {self.skipped} of at most {self.limit}")

    def _keep(self, problem: Problem, step: Step, looked: list[Finding | None]) -> list[str]:
        """Write the first part that fails again; say what was found in it and where it is.

        Where no process has found anything again, all write.
        """
        wrong = [n for n, finding in enumerate(looked) if finding is not None]
        others = any(comm.all_gather(bool(wrong)))
        try:
            self._keep_weights(step)
            if not wrong and others:
                return []  # the fault is in another process's batch
            n = wrong[0] if wrong else 0
            path = self._keep_batch(problem, step, step.parts[n])
        except (OSError, ValueError) as error:
            return [*_words(step, looked), f"its batch could not be saved: {error}"]
        return [*_words(step, looked), f"run it again with tools/replay_batch.py {path}"]

    def _keep_weights(self, step: Step) -> None:
        """With the first step that fails and with the one that stops: each is a whole model."""
        if self._weights[0] and self.skipped < self.limit:
            return
        self._weights = (f"weights_{step.iteration:07d}.pth", step.iteration)
        if comm.is_main_process():
            save_weights(self.output_dir / FOLDER / self._weights[0], step.model, step.iteration)

    def _keep_batch(self, problem: Problem, step: Step, part: Part) -> Path:
        about = Circumstances(
            config=self.config,
            problem=problem.what,
            iteration=step.iteration,
            process=comm.get_rank(),
            processes=comm.get_world_size(),
            gradients=problem.gradients,
            weights=self._weights[0],
            weights_iteration=self._weights[1],
            made_by=self.made_by,
        )
        name = f"batch_{step.iteration:07d}_process{about.process}.pth"
        save_batch(self.output_dir / FOLDER / name, part, step.precision, about)
        return self.output_dir / FOLDER / name


def _look(step: Step, part: Part, *, gradients: bool) -> Finding | None:
    try:
        return diagnose(step.model, part, step.precision, gradients=gradients)
    except RuntimeError as error:  # as out of memory: the problem itself must still be said
        return Finding(f"looking for the module failed ({str(error).splitlines()[0]})", [])


def _words(step: Step, looked: list[Finding | None]) -> Iterable[str]:
    """What was found, and in which images."""
    found = next((finding for finding in looked if finding is not None), None)
    images = [name for part in step.parts for name in images_of(part.data)]
    if found is None:
        return ["computed again, it is finite", f"images: {some(images)}"]
    guilty = [name for finding in looked if finding is not None for name in finding.images]
    if guilty and len(guilty) < len(images):
        return [found.where, f"alone it happens with {some(guilty)}"]
    each = ", each of them alone" if guilty else ""
    return [found.where, f"images: {some(images)}{each}"]
