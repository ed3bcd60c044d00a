"""One model on the page: its detections, which can be clicked, and where its blocks look."""

import base64
from collections.abc import Awaitable, Callable, Sequence

from nicegui import events, ui

from nonlocal_det.visualization import AttentionMap

from .explorer import Seen


class View:
    """Builds a card for the picture where it is made.

    Args:
        index: its place on the page.
        click: what is done with a click: this index, and x and y in pixels of the picture.
    """

    def __init__(
        self, index: int, click: Callable[[int, tuple[float, float]], Awaitable[None]]
    ) -> None:
        self._index, self._click = index, click
        self.seen: Seen | None = None
        self.picture: bytes = b""
        self.looks: Sequence[AttentionMap] = ()
        self.title = ""
        self._scale = 1.0
        with ui.card().classes("grow basis-96 min-w-0 gap-2") as self._card:
            self._name = ui.label().classes("font-bold")
            self._image = ui.interactive_image(on_mouse=self._clicked, cross="#E69F00")
            self._image.classes("w-full max-w-xl self-center cursor-crosshair")
            self._image.props(f"data-testid=picture-{index}")
            self._says = ui.label().classes("text-sm text-gray-700")
            self._says.props(f"data-testid=says-{index}")
        self._card.set_visibility(False)

    def build_looks(self) -> None:
        """A card for where the blocks look, where this is called."""
        with ui.card().classes("w-full gap-2") as self._looks_card:
            self._from = ui.label().classes("font-bold")
            self._looks = ui.element("div").classes("w-full grid gap-2 items-start")
            self._looks.style("grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr))")
            self._looks.props(f"data-testid=looks-{self._index}")
        self._looks_card.set_visibility(False)

    def show(self, seen: Seen, picture: bytes, width: int, said: str) -> None:
        """Show what a model has found.

        Args:
            seen: the model's.
            picture: its detections, a PNG.
            width: of the PNG, in pixels.
            said: below.
        """
        self.seen, self.picture = seen, picture
        self._scale = width / seen.image.shape[1]
        self._name.set_text(seen.model.name)
        self._says.set_text(said)
        self._image.set_source(_url(picture))
        self._card.set_visibility(True)

    def show_looks(self, title: str, looks: Sequence[AttentionMap], pngs: Sequence[bytes]) -> None:
        """Show where blocks look.

        Args:
            title: what was asked.
            looks: a map for each block; none: nothing is shown.
            pngs: the maps as pictures.
        """
        self.title, self.looks = title, looks
        self._from.set_text(f"{self._name.text}: from {title}")
        self._looks.clear()
        with self._looks:
            for one, png in zip(looks, pngs, strict=True):
                image = ui.image(_url(png)).classes("w-full")
                image.props(f"no-transition no-spinner alt={one.block}")
        self._looks_card.set_visibility(bool(looks))

    def mark(self, point: tuple[float, float] | None) -> None:
        """Draw a ring around a point (x, y) in pixels of the picture; None: no ring."""
        rings = ""
        if point is not None:
            x, y = point[0] * self._scale, point[1] * self._scale
            rings = "".join(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{color}" '
                f'stroke-width="{width}"/>'
                for color, width in (("black", 5), ("white", 2.5))
            )
        self._image.set_content(rings)

    def hide(self) -> None:
        """No model is in this place."""
        self.seen = None
        self._card.set_visibility(False)
        self._looks_card.set_visibility(False)

    async def _clicked(self, event: events.MouseEventArguments) -> None:
        point = (event.image_x / self._scale, event.image_y / self._scale)
        await self._click(self._index, point)


def _url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
