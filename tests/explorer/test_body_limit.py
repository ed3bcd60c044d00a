import asyncio

import pytest

pytest.importorskip("nicegui", reason="the explorer's page is an extra")

from nonlocal_det.explorer.serve import BodyLimit


def answer(parts, length=None, kind="http"):
    """The status that a request whose body comes in these parts gets, and what was read of it."""
    read, sent = [], []
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def app(scope, receive, send):
        for _ in parts:
            read.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200})

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    asyncio.run(BodyLimit(app, 10)({"type": kind, "headers": headers}, receive, send))
    return sent[0]["status"], read


def test_a_small_body_goes_through():
    assert answer([b"12345", b"67890"], length=10) == (200, [b"12345", b"67890"])


def test_a_body_that_says_it_is_large_is_not_read():
    assert answer([b"123"], length=11) == (413, [])


def test_a_body_that_says_nothing_is_counted():
    from starlette.exceptions import HTTPException

    with pytest.raises(HTTPException) as refused:
        answer([b"12345", b"67890", b"1", b"never read"])
    assert refused.value.status_code == 413


def test_a_web_socket_is_no_upload():
    assert answer([b"12345678901"], kind="websocket") == (200, [b"12345678901"])
