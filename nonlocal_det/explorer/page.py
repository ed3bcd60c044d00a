"""One visitor's page: what is shown, and what happens when something is clicked."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from nicegui import events, run, ui

from .answers import answer_click
from .controls import Controls, Handlers
from .explorer import Explorer, Seen
from .figures import Part, as_png, sheet_of
from .uploads import read_upload
from .view import View

Result = TypeVar("Result")
HINT = "Click a pixel, or a joint of a skeleton, to see where each block looks from there."
HEADS = "; the blocks of heads look from inside of detections: click one"


class Page:
    """Built for each visitor anew; models and pictures are shared.

    Args:
        explorer: models and pictures.
    """

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._image: np.ndarray | None = None
        self._asked: tuple[int, tuple[float, float]] | None = None  # a view, a point of the picture
        self._lock = asyncio.Lock()
        self._turn = 0
        handlers = Handlers(
            image=self._open,
            upload=self._upload,
            refused=self._refuse,
            models=self._change_models,
            threshold=self._draw,
            look=self._look,
            download=self._download,
        )
        ui.colors(primary="#0072B2", negative="#B3261E")
        with ui.header().classes("items-center gap-3 py-2"):
            ui.label("nonlocal_det").classes("text-lg font-bold")
            ui.label("what each block looks at").classes("text-sm opacity-90")
            self._busy = ui.spinner(size="1.4em", color="white").classes("ml-auto")
        with ui.row().classes("w-full no-wrap items-start gap-4"):
            with ui.card().classes("w-72 shrink-0 gap-2"):
                self._controls = Controls(explorer, handlers)
            with ui.column().classes("grow min-w-0 gap-3"):
                self._build_views()
        self._busy.set_visibility(False)
        ui.timer(0.05, self._begin, once=True)  # when the visitor has the page

    def _build_views(self) -> None:
        self._message = ui.label().props("role=alert data-testid=message")
        self._message.classes("w-full rounded p-3 bg-red-50 text-red-900 border border-red-300")
        self._message.set_visibility(False)
        self._hint = ui.label(HINT).props("data-testid=hint").classes("text-gray-700")
        with ui.row().classes("w-full items-start gap-3"):
            self._views = [View(k, self._click) for k in range(2)]
        for view in self._views:
            view.build_looks()

    async def _begin(self) -> None:
        if self._explorer.images:
            await self._open(0)
        else:
            self._hint.set_text("Upload a picture to begin.")

    async def _open(self, index: int) -> None:
        await self._use(await self._work(lambda: self._explorer.read(index)))

    async def _upload(self, event: events.UploadEventArguments) -> None:
        data, name = await event.file.read(), event.file.name
        image = await self._work(lambda: read_upload(data, name, self._explorer.limits))
        self._controls.upload_done(used=image is not None)
        await self._use(image)

    def _refuse(self) -> None:
        self._controls.upload_done(used=False)
        limit = self._explorer.limits.max_bytes / 2**20
        self._say(f"That file was refused: give one image (JPEG, PNG, ...) of at most {limit:g} MB")

    async def _use(self, image: np.ndarray | None) -> None:
        if image is not None:
            self._image, self._asked = image, None
            await self._detect()

    async def _change_models(self) -> None:
        self._controls.show_blocks()
        await self._detect()

    async def _detect(self) -> None:
        """Run the chosen models on the picture."""
        image, models = self._image, self._controls.models
        if image is None:
            return
        seen = await self._work(lambda: [self._explorer.see(model, image) for model in models])
        if seen is None:
            return
        for view, one in zip(self._views, seen, strict=False):
            view.seen = one
        for view in self._views[len(seen) :]:
            view.hide()
        await self._draw()

    async def _draw(self) -> None:
        """Draw the detections, and again where the blocks look."""
        threshold = self._controls.threshold
        views = [(view, view.seen) for view in self._views if view.seen is not None]
        drawn = await self._work(lambda: [seen.draw(threshold) for _, seen in views])
        if drawn is None:
            return
        for (view, seen), pixels in zip(views, drawn, strict=True):
            view.show(seen, as_png(pixels), pixels.shape[1], _describe(seen, threshold))
        await self._look()

    async def _click(self, index: int, point: tuple[float, float]) -> None:
        self._asked = (index, point)
        await self._look()

    async def _look(self) -> None:
        """Ask every model's blocks about the last click; a newer click overtakes it."""
        self._turn += 1
        turn, asked = self._turn, self._asked
        views = [view for view in self._views if view.seen is not None]
        if asked is None:
            self._hint.set_text(HINT)
            for view in views:
                view.mark(None)
                view.show_looks("", (), ())
            return
        threshold, options = self._controls.threshold, self._controls.options
        seen = [view.seen for view in views if view.seen is not None]
        clicked = seen[min(asked[0], len(seen) - 1)]
        answer = await self._work(
            lambda: (
                answer_click(seen, clicked, asked[1], threshold, options)
                if turn == self._turn
                else None
            )
        )
        if answer is None:
            return
        for view, looks, pngs in zip(views, answer.looks, answer.pngs, strict=True):
            view.mark(answer.pick.point)
            view.show_looks(answer.title, looks, pngs)
        of_heads = "" if answer.pick.instance is not None else HEADS
        self._hint.set_text(f"From {answer.title}{of_heads}")

    async def _download(self) -> None:
        shown = [(view, view.seen) for view in self._views if view.seen is not None]
        if not shown:
            self._say("There is no figure yet; choose a picture first")
            return
        options = self._controls.options
        parts = [
            Part(
                f"{seen.model.name}: from {view.title}" if view.looks else seen.model.name,
                view.picture,
                seen.image,
                view.looks,
            )
            for view, seen in shown
        ]
        sheet = await self._work(lambda: sheet_of(parts, options))
        if sheet is not None:
            ui.download.content(sheet, "attention.png", "image/png")

    async def _work(self, work: Callable[[], Result]) -> Result | None:
        """Work beside the loop that serves the page; say on the page what goes wrong."""

        def locked() -> Result:
            with self._explorer.lock:
                return work()

        self._busy.set_visibility(True)
        try:
            async with self._lock:  # in the order of the clicks
                result = await run.io_bound(locked)
        except (ValueError, FileNotFoundError) as error:
            self._say(str(error))
            return None
        except Exception as error:  # the page stays; its log has the traceback
            logging.getLogger(__name__).exception("the explorer failed")
            self._say(f"{type(error).__name__}: {error}; the terminal has the details")
            return None
        finally:
            self._busy.set_visibility(False)
        self._say("")
        return result

    def _say(self, message: str) -> None:
        self._message.set_text(message)
        self._message.set_visibility(bool(message))


def _describe(seen: Seen, threshold: float) -> str:
    """What was found, and the function of the blocks."""
    count = len(seen.over(threshold))
    height, width = seen.image.shape[:2]
    functions = ", ".join(dict.fromkeys(seen.model.blocks.values()))
    blocks = f"blocks: {functions}" if functions else "no non-local block: it looks nowhere"
    return f"{count} detection{'s' * (count != 1)} in {width} x {height} pixels; {blocks}"
