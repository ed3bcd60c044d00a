import asyncio

import pytest

pytest.importorskip("nicegui", reason="the explorer's page is an extra")

from starlette.exceptions import HTTPException

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


@pytest.mark.parametrize(
    ("parts", "length", "kind", "expected"),
    [
        ([b"12345", b"67890"], 10, "http", (200, [b"12345", b"67890"])),
        ([b"123"], 11, "http", (413, [])),  # it says that it is large, and is not read
        ([b"12345678901"], None, "websocket", (200, [b"12345678901"])),  # no upload
    ],
)
def test_a_body_above_the_limit_is_not_read(parts, length, kind, expected):
    assert answer(parts, length, kind) == expected


def test_a_body_that_says_nothing_is_counted():
    with pytest.raises(HTTPException) as refused:
        answer([b"12345", b"67890", b"1", b"never read"])
    assert refused.value.status_code == 413
