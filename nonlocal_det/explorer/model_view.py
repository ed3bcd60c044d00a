"""A model's cards on the page: its detections, which can be clicked, and its attention."""

import base64
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from nicegui import events, ui

from nonlocal_det.inference.attention_queries import Point
from nonlocal_det.visualization import AttentionMap

from .explorer import Prediction
from .figures import as_png


class ModelView:
    """A model's cards, of which the first is built where this is made.

    Args:
        index: its place on the page.
        click: is called with the index, and x and y in pixels of the picture.
    """

    def __init__(self, index: int, click: Callable[[int, Point], Awaitable[None]]) -> None:
        self._index, self._click = index, click
        self.prediction: Prediction | None = None
        self.picture: bytes = b""
        self.maps: Sequence[AttentionMap] = ()
        self.title = ""
        self._scale = 1.0
        with ui.card().classes("grow basis-96 min-w-0 gap-2") as self._card:
            self._name = ui.label().classes("font-bold")
            self._image = ui.interactive_image(on_mouse=self._clicked, cross="#E69F00")
            self._image.classes("w-full max-w-xl self-center cursor-crosshair")
            self._image.props(f"data-testid=picture-{index}")
            self._caption = ui.label().classes("text-sm text-gray-700")
            self._caption.props(f"data-testid=says-{index}")
        self._card.set_visibility(False)

    def build_attention(self) -> None:
        """Build the second card, of the attention, where this is called."""
        with ui.card().classes("w-full gap-2") as self._attention_card:
            self._from = ui.label().classes("font-bold")
            self._attention = ui.element("div").classes("w-full grid gap-2 items-start")
            self._attention.style("grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr))")
            self._attention.props(f"data-testid=looks-{self._index}")
        self._attention_card.set_visibility(False)

    def show(self, prediction: Prediction, drawn: np.ndarray, caption: str) -> None:
        """Show a prediction, its detections as drawn pixels (H, W, 3), and a caption below."""
        self.prediction, self.picture = prediction, as_png(drawn)
        self._scale = drawn.shape[1] / prediction.image.shape[1]
        self._name.set_text(prediction.model.name)
        self._caption.set_text(caption)
        self._image.set_source(data_url(self.picture))
        self._card.set_visibility(True)

    def show_attention(
        self,
        title: str = "",
        point: Point | None = None,
        maps: Sequence[AttentionMap] = (),
        pngs: Sequence[bytes] = (),
    ) -> None:
        """Show attention maps, and a ring around the query.

        Args:
            title: the query in words.
            point: (x, y) in pixels of the picture; None: no ring.
            maps: one for each block; none: nothing is shown.
            pngs: the maps as pictures.
        """
        self.title, self.maps = title, maps
        around = (point[0] * self._scale, point[1] * self._scale) if point else None
        self._image.set_content(ring(*around) if around else "")
        self._from.set_text(f"{self._name.text}: from {title}")
        self._attention.clear()
        with self._attention:
            for attention, png in zip(maps, pngs, strict=True):
                image = ui.image(data_url(png)).classes("w-full")
                image.props(f"no-transition no-spinner alt={attention.block}")
        self._attention_card.set_visibility(bool(maps))

    def hide(self) -> None:
        """Remove the model from this place."""
        self.prediction = None
        self._card.set_visibility(False)
        self._attention_card.set_visibility(False)

    async def _clicked(self, event: events.MouseEventArguments) -> None:
        await self._click(self._index, (event.image_x / self._scale, event.image_y / self._scale))


def ring(x: float, y: float) -> str:
    """Return SVG of a ring around a point of a shown picture."""
    return "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{color}" '
        f'stroke-width="{width}"/>'
        for color, width in (("black", 5), ("white", 2.5))
    )


def data_url(png: bytes) -> str:
    """Return the bytes of a PNG file as an address."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
