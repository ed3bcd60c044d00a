"""The tab of videos: go to a frame, click, and see where each block attends in the clip around."""

from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

from nicegui import events, ui

from nonlocal_det.inference.attention_queries import clip_point
from nonlocal_det.inference.clip_attention import RecordedClip, VideoPoint, record_clip
from nonlocal_det.video.decoding import read_frames
from nonlocal_det.video.index import video_index
from nonlocal_det.visualization import clip_attention_figure

from .controls import heading
from .explorer import Explorer, VideoModel
from .figures import DPI, as_png
from .model_view import data_url, ring
from .uploads import fit_picture

HINT = "Go to a frame, then click a point of it to see where each block attends from there."

SHOWN = 576
"""Pixels of a shown frame's width up to which a smaller one is enlarged, by a whole number."""

Work = Callable[[Callable[[], Any]], Awaitable[Any]]


class VideoTab:
    """Built for each visitor where this is made.

    Args:
        explorer: models and videos.
        work: does its argument beside the page's loop, and shows what fails; see `Page`.
    """

    def __init__(self, explorer: Explorer, work: Work) -> None:
        self._explorer, self._work = explorer, work
        self._scale, self._size = 1.0, (0, 0)  # shown pixels of one of the video, which has so many
        self._place = (-1, -1)  # the video and the frame that are shown
        self._clips: tuple[tuple[int, int], list[RecordedClip]] = ((-1, -1), [])
        names = {k: f"{p.parent.name}/{p.name}" for k, p in enumerate(explorer.videos)}
        with ui.row().classes("w-full no-wrap items-start gap-4"):
            with ui.card().classes("w-72 shrink-0 gap-2"):
                heading("Video")
                self._video = ui.select(names, value=0 if names else None, with_input=True)
                self._video.props("dense outlined options-dense data-testid=video")
                self._video.classes("w-full").on_value_change(self._open)
                self._label = ui.label().classes("text-sm").props("data-testid=frame-label")
                self._frame = ui.slider(min=0, max=1, step=1, value=0)
                self._frame.props("data-testid=frame").on("change", self._show_frame)
            with ui.column().classes("grow min-w-0 gap-3"):
                words = HINT if names else "There are no videos; give --videos."
                self._hint = ui.label(words).classes("text-gray-700").props("data-testid=clip-hint")
                self._image = ui.interactive_image(on_mouse=self._click, cross="#E69F00")
                self._image.classes("w-full max-w-xl cursor-crosshair")
                self._image.props("data-testid=video-frame")
                self._attention = ui.column().classes("w-full gap-3")
                self._attention.props("data-testid=clip-attention")
        if names:
            ui.timer(0.05, self._open, once=True)

    async def _open(self) -> None:
        """Begin a video in its middle."""
        if self._video.value is None:
            return
        path = self._explorer.videos[self._video.value]
        index = await self._work(lambda: video_index(path))
        if index is not None:
            self._frame.props(f"max={len(index) - 1}")
            self._frame.set_value((len(index) - 1) // 2)
            await self._show_frame()

    async def _show_frame(self) -> None:
        video, frame = self._video.value, int(self._frame.value)
        path = self._explorer.videos[video]

        def read() -> tuple[bytes, float, tuple[int, int]]:
            pixels = read_frames(path, [frame])[0]
            shown = fit_picture(pixels, path.name)
            times = max(SHOWN // shown.shape[1], 1)
            shown = shown.repeat(times, axis=0).repeat(times, axis=1)
            return as_png(shown), shown.shape[1] / pixels.shape[1], pixels.shape[:2]

        read_frame = await self._work(read)
        if read_frame is None:
            return
        png, self._scale, self._size = read_frame
        self._place = (video, frame)
        self._image.set_source(data_url(png))
        self._image.set_content("")
        index = video_index(path)
        self._label.set_text(f"frame {frame} of 0..{len(index) - 1}, {index.time(frame):.2f} s")
        self._hint.set_text(HINT)
        self._attention.clear()

    async def _click(self, event: events.MouseEventArguments) -> None:
        at = (event.image_x / self._scale, event.image_y / self._scale)
        x, y = clip_point(at, self._size)
        self._image.set_content(ring(event.image_x, event.image_y))
        place = self._place
        drawn = await self._work(lambda: self._draw((x, y, place[1]), place))
        if drawn is None or place != self._place:  # another frame is shown by now
            return
        self._hint.set_text(f"From ({x:.0f}, {y:.0f}) in frame {place[1]}")
        self._attention.clear()
        with self._attention:
            for title, pictures in drawn:
                ui.label(title).classes("font-bold")
                for caption, png in pictures:
                    ui.label(caption).classes("text-sm text-gray-700")
                    image = ui.image(data_url(png)).classes("w-full max-w-4xl")
                    image.props("no-transition no-spinner")

    def _draw(
        self, point: VideoPoint, place: tuple[int, int]
    ) -> list[tuple[str, list[tuple[str, bytes]]]]:
        """Draw the blocks of each model: a title, and captions and PNG files."""
        models = self._explorer.video_models
        if self._clips[0] != place:  # another click on the same frame needs no run
            path = self._explorer.videos[place[0]]
            clips = [record_clip(model.classifier, path, place[1]) for model in models]
            self._clips = (place, clips)
        return [
            (_title(model, clip), [_picture(clip, name, point) for name in clip.maps.blocks])
            for model, clip in zip(models, self._clips[1], strict=True)
        ]


def _title(model: VideoModel, clip: RecordedClip) -> str:
    best = int(clip.probabilities.argmax())
    share = f"{clip.probabilities[best]:.0%}"
    return f"{model.name}: {model.classifier.classes[best]} {share} in this clip"


def _picture(clip: RecordedClip, block: str, point: VideoPoint) -> tuple[str, bytes]:
    file = BytesIO()
    figure = clip_attention_figure(clip.frames, clip.at(block, point), clip.labels)
    figure.savefig(file, format="png", dpi=DPI)
    return f"{block}: query independence {clip.independence(block):.2f}", file.getvalue()
