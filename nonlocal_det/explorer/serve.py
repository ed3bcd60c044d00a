"""The server of the page, which only this machine reaches unless --host says otherwise."""

import socket
import sys

from nicegui import app, ui
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .explorer import Explorer
from .page import Page

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FRAMING = 2**16
"""Bytes of an upload's request around the file."""

ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' "
    "rx='7' fill='#0072B2'/><circle cx='9' cy='23' r='4' fill='#fff'/><path d='M12 20 24 8M12 22"
    "l14-3' stroke='#E69F00' stroke-width='3' fill='none'/></svg>"
)


class BodyLimit:
    """An ASGI middleware that ends requests whose bodies are too large for memory or disk.

    Args:
        app: is called for all other requests.
        max_bytes: of a request's body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 where the header, or the body itself, is above the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if int(length) > self.max_bytes:
            await PlainTextResponse("too large", status_code=413)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(413, "too large")
            return message

        await self.app(scope, counted, send)


def check_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0; called before the models are loaded.

    Raises:
        ValueError: the port is taken, or ``host`` is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"--host {host} --port {port}: {error}; give another port (0: any that is free), "
                "or an address of this machine"
            ) from error
        return int(probe.getsockname()[1])


def warn_if_public(host: str) -> None:
    """Warn where others than this machine's users can reach the page."""
    if host not in LOOPBACK:
        print(
            f"WARNING: --host {host}: whoever reaches this machine can use this page, see its "
            "images and upload; there is no password",
            file=sys.stderr,
        )


def serve(explorer: Explorer, *, host: str, port: int, browser: bool = False) -> None:
    """Serve the page until Ctrl-C.

    Nothing is fetched from outside, and nothing is sent there: scripts and fonts are NiceGUI's own
    files.

    Args:
        explorer: models and pictures.
        host: to listen at.
        port: to listen at.
        browser: whether one is opened.
    """
    app.add_middleware(BodyLimit, max_bytes=explorer.limits.max_bytes + FRAMING)
    if host in LOOPBACK:  # a page from elsewhere cannot give this address a name of its own
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    shown = f"[{host}]" if ":" in host else host
    app.on_startup(lambda: print(f"http://{shown}:{port} (Ctrl-C ends it)", flush=True))

    def root() -> None:
        Page(explorer)

    ui.run(
        root,
        host=host,
        port=port,
        title="nonlocal_det explorer",
        favicon=ICON,
        show=browser,
        reload=False,
        reconnect_timeout=60.0,
        show_welcome_message=False,
    )
