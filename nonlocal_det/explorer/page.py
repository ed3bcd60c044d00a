"""One visitor's page: the pictures, the attention of the blocks, and what a click does."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from nicegui import events, run, ui

from nonlocal_det.inference.attention_queries import Point

from .controls import Controls, Handlers
from .explorer import Explorer, Prediction, attention_of_click
from .figures import draw_sheet, png_of_maps
from .model_view import ModelView
from .uploads import read_upload
from .video_tab import VideoTab

Result = TypeVar("Result")
HINT = "Click a pixel, or a joint of a skeleton, to see where each block looks from there."
HEADS = "; the blocks of heads look from inside of detections: click one"


class Page:
    """Built for each visitor; models and pictures are shared.

    Args:
        explorer: models and pictures.
    """

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._image: np.ndarray | None = None
        self._query: tuple[int, Point] | None = None  # a view, and a point of the picture
        self._lock = asyncio.Lock()
        self._clicks = 0
        ui.colors(primary="#0072B2", negative="#B3261E")
        with ui.header().classes("items-center gap-3 py-2"):
            ui.label("nonlocal_det").classes("text-lg font-bold")
            ui.label("what each block looks at").classes("text-sm opacity-90")
            self._busy = ui.spinner(size="1.4em", color="white").classes("ml-auto")
        self._busy.set_visibility(False)
        self._message = ui.label().props("role=alert data-testid=message")
        self._message.classes("w-full rounded p-3 bg-red-50 text-red-900 border border-red-300")
        self._message.set_visibility(False)
        tabs: dict[str, Callable[[], object]] = {}
        if explorer.models:
            tabs["Pictures"] = self._build_pictures
        if explorer.video_models:
            tabs["Videos"] = lambda: VideoTab(explorer, self._work)
        with ui.tabs() as bar:
            for name in tabs:
                ui.tab(name)
        bar.set_visibility(len(tabs) > 1)
        with ui.tab_panels(bar, value=next(iter(tabs)), animated=False).classes("w-full"):
            for name, build in tabs.items():
                with ui.tab_panel(name).classes("p-0"):
                    build()

    def _build_pictures(self) -> None:
        handlers = Handlers(
            image=self._open,
            upload=self._upload,
            refused=self._refuse,
            models=self._change_models,
            threshold=self._draw,
            attention=self._draw_attention,
            download=self._download,
        )
        with ui.row().classes("w-full no-wrap items-start gap-4"):
            with ui.card().classes("w-72 shrink-0 gap-2"):
                self._controls = Controls(self._explorer, handlers)
            with ui.column().classes("grow min-w-0 gap-3"):
                self._build_views()
        ui.timer(0.05, self._begin, once=True)  # when the visitor has the page

    def _build_views(self) -> None:
        self._hint = ui.label(HINT).props("data-testid=hint").classes("text-gray-700")
        with ui.row().classes("w-full items-start gap-3"):
            self._views = [ModelView(k, self._click) for k in range(2)]
        for view in self._views:
            view.build_attention()

    @property
    def _shown(self) -> list[tuple[ModelView, Prediction]]:
        return [(view, view.prediction) for view in self._views if view.prediction is not None]

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
        self._show_message(
            f"That file was refused: give one image (JPEG, PNG, ...) of at most {limit:g} MB"
        )

    async def _use(self, image: np.ndarray | None) -> None:
        if image is not None:
            self._image, self._query = image, None
            await self._predict()

    async def _change_models(self) -> None:
        self._controls.show_blocks()
        await self._predict()

    async def _predict(self) -> None:
        """Run the chosen models on the picture."""
        image, models = self._image, self._controls.models
        if image is None:
            return
        predictions = await self._work(
            lambda: [self._explorer.predict(model, image) for model in models]
        )
        if predictions is None:
            return
        for view, prediction in zip(self._views, predictions, strict=False):
            view.prediction = prediction
        for view in self._views[len(predictions) :]:
            view.hide()
        await self._draw()

    async def _draw(self) -> None:
        """Draw the detections, and the attention again."""
        threshold, shown = self._controls.threshold, self._shown
        pictures = await self._work(lambda: [prediction.draw(threshold) for _, prediction in shown])
        if pictures is None:
            return
        for (view, prediction), drawn in zip(shown, pictures, strict=True):
            view.show(prediction, drawn, prediction.describe(threshold))
        await self._draw_attention()

    async def _click(self, index: int, point: Point) -> None:
        self._query = (index, point)
        await self._draw_attention()

    async def _draw_attention(self) -> None:
        """Draw the attention of every model from the last click, unless a newer one follows."""
        self._clicks += 1
        click, query, shown = self._clicks, self._query, self._shown
        if query is None:
            self._hint.set_text(HINT)
            for view, _ in shown:
                view.show_attention()
            return
        threshold, options = self._controls.threshold, self._controls.options
        index, point = query
        predictions = [prediction for _, prediction in shown]
        clicked = predictions[min(index, len(predictions) - 1)]
        attention = await self._work(
            lambda: (
                attention_of_click(predictions, clicked, point, threshold, options)
                if click == self._clicks
                else None
            )
        )
        if attention is None:
            return
        for (view, _), maps, pngs in zip(shown, attention.maps, attention.pngs, strict=True):
            view.show_attention(attention.title, attention.pick.point, maps, pngs)
        of_heads = "" if attention.pick.instance is not None else HEADS
        self._hint.set_text(f"From {attention.title}{of_heads}")

    async def _download(self) -> None:
        options, shown = self._controls.options, self._shown
        if not shown:
            self._show_message("There is no figure yet; choose a picture first")
            return

        def draw() -> bytes:
            rows = []
            for view, prediction in shown:
                title, pngs = prediction.model.name, [view.picture]
                if view.maps:
                    title += f": from {view.title}"
                    pngs.append(
                        png_of_maps(prediction.image, view.maps, options.styles, options.top_k)
                    )
                rows.append((title, pngs))
            return draw_sheet(rows)

        sheet = await self._work(draw)
        if sheet is not None:
            ui.download.content(sheet, "attention.png", "image/png")

    async def _work(self, work: Callable[[], Result]) -> Result | None:
        """Work beside the loop that serves the page; show on the page what fails."""

        def locked() -> Result:
            with self._explorer.lock:
                return work()

        self._busy.set_visibility(True)
        try:
            async with self._lock:  # in the order of the clicks
                result = await run.io_bound(locked)
        except (ValueError, OSError) as error:  # VideoError is an OSError
            self._show_message(str(error))
            return None
        except Exception as error:  # the page stays; its log has the traceback
            logging.getLogger(__name__).exception("the explorer failed")
            self._show_message(f"{type(error).__name__}: {error}; the terminal has the details")
            return None
        finally:
            self._busy.set_visibility(False)
        self._show_message("")
        return result

    def _show_message(self, message: str) -> None:
        self._message.set_text(message)
        self._message.set_visibility(bool(message))
