"""The left side of the page: the picture, the models, and the attention that is drawn."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nicegui import events, ui

from nonlocal_det.visualization import STYLES, TOP_K

from .explorer import Explorer, ExplorerModel, MapOptions

NOTHING = -1
# The concatenation needs a trained w_f, which other blocks do not have.
FUNCTIONS = {
    "": "as trained",
    **{name: f"if {name}" for name in ("embedded_gaussian", "dot_product")},
}

Change = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Handlers:
    """The functions of the page that are called when a control changes."""

    image: Callable[[int], Awaitable[None]]  # another one of the folder, by its index
    upload: Callable[[events.UploadEventArguments], Awaitable[None]]
    refused: Callable[[], None]  # by the browser: a file
    models: Change
    threshold: Change
    attention: Change  # other blocks, styles or arrows
    download: Change


class Controls:
    """The controls and their values; built where this is made."""

    def __init__(self, explorer: Explorer, handlers: Handlers) -> None:
        self._explorer, self._handlers = explorer, handlers
        self._hidden: set[str] = set()
        self._build_pictures()
        self._build_models()
        heading("Where it looks")
        self._blocks = ui.column().classes("gap-0 w-full").props("data-testid=blocks")
        self._build_attention()
        self.show_blocks()

    @property
    def models(self) -> list[ExplorerModel]:
        """The chosen models, one or two."""
        chosen = [self._first.value, self._second.value if self._second else NOTHING]
        return [self._explorer.models[k] for k in chosen if k != NOTHING]

    @property
    def threshold(self) -> float:
        """The lowest score that is shown."""
        return float(self._threshold.value)

    @property
    def options(self) -> MapOptions:
        """Which attention maps are drawn, and how."""
        style = self._style.value
        return MapOptions(
            hidden=frozenset(self._hidden),
            styles=STYLES if style == "both" else (style,),
            top_k=int(self._top_k.value),
            pairwise=self._function.value or None,
        )

    def show_blocks(self) -> None:
        """Show a check box for each block of the chosen models."""
        self._blocks.clear()
        names = dict.fromkeys(name for model in self.models for name in model.blocks)
        with self._blocks:
            for name in names:
                short = ".".join(name.split(".")[-2:])
                box = ui.checkbox(short, value=name not in self._hidden).props("dense")
                box.on_value_change(lambda event, name=name: self._tick(name, event.value))
            if not names:
                ui.label("No model here has a block.").classes("text-sm text-gray-600")

    def upload_done(self, *, used: bool) -> None:
        """Make room for the next file; an image of the folder is no longer what is shown."""
        self.uploader.reset()
        if used and self._image:
            self._image.set_value(None)

    async def _tick(self, name: str, shown: bool) -> None:
        (self._hidden.discard if shown else self._hidden.add)(name)
        await self._handlers.attention()

    def _build_pictures(self) -> None:
        heading("Picture")
        self._image: ui.select | None = None
        names = {k: path.name for k, path in enumerate(self._explorer.images)}
        if names:
            with ui.row().classes("w-full items-center no-wrap gap-1"):
                back = ui.button(icon="chevron_left", on_click=lambda: self._step(-1))
                back.props("flat dense aria-label=previous")
                self._image = ui.select(names, value=0, with_input=True, on_change=self._choose)
                self._image.props("dense outlined options-dense data-testid=image")
                self._image.classes("grow min-w-0")
                on = ui.button(icon="chevron_right", on_click=lambda: self._step(1))
                on.props("flat dense aria-label=next")
        limits = self._explorer.limits
        self.uploader = ui.upload(
            label="or upload one (drop it here)",
            auto_upload=True,
            max_file_size=limits.max_bytes,
            on_upload=self._handlers.upload,
            on_rejected=self._handlers.refused,
        )
        self.uploader.classes("w-full").props('accept="image/*" flat bordered')
        # one file, at once
        ui.add_css(".q-uploader__list, .q-uploader__subtitle { display: none }")
        self.uploader.on("failed", self._handlers.refused)
        ui.label(
            f"at most {limits.max_bytes / 2**20:g} MB and {limits.max_pixels / 1e6:g} megapixels; "
            "it stays on the machine that runs this page"
        ).classes("text-xs text-gray-600")

    def _build_models(self) -> None:
        heading("Models")
        names = {k: model.name for k, model in enumerate(self._explorer.models)}
        self._first = _select(names, 0, "model", self._handlers.models)
        self._second: ui.select | None = None
        if len(names) > 1:
            beside = {NOTHING: "nothing", **names}
            self._second = _select(beside, 1, "beside it", self._handlers.models)
        label = ui.label().classes("text-sm")
        self._threshold = ui.slider(min=0, max=1, step=0.05, value=0.5)
        self._threshold.on("change", self._handlers.threshold)
        label.bind_text_from(self._threshold, "value", lambda v: f"scores of at least {v:.2f}")

    def _build_attention(self) -> None:
        change = self._handlers.attention
        self._function = _select(FUNCTIONS, "", "function of theta and phi", change)
        with self._function:
            ui.tooltip(
                "A model computes the function that it was trained with. Another one of the same "
                "theta and phi shows how much of the attention is due to the function."
            )
        self._style = ui.toggle([*STYLES, "both"], value="both", on_change=change).props("dense")
        label = ui.label().classes("text-sm")
        self._top_k = ui.slider(min=1, max=50, step=1, value=TOP_K)
        self._top_k.props("data-testid=top-k").on("change", change)
        label.bind_text_from(self._top_k, "value", lambda v: f"arrows to the {v:.0f} strongest")
        button = ui.button("Download the figure", icon="download", on_click=self._handlers.download)
        button.classes("w-full").props("outline data-testid=download")

    async def _choose(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value is not None:
            await self._handlers.image(event.value)

    def _step(self, by: int) -> None:
        if self._image:
            now = self._image.value
            self._image.set_value(0 if now is None else (now + by) % len(self._explorer.images))


def heading(text: str) -> None:
    """Show the heading of a group of controls."""
    ui.label(text).classes("text-xs font-bold uppercase tracking-wide text-gray-700 mt-2")


def _select(options: dict[Any, str], value: Any, label: str, change: Change) -> ui.select:
    select = ui.select(options, value=value, label=label, on_change=lambda _: change())
    return select.classes("w-full").props("dense outlined options-dense")
