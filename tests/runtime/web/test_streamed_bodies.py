"""Bodies that a view reads while they come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.runtime.web import streamed_bodies
from isocenter.runtime.web.streamed_bodies import BodyCutOff, Lingering, StreamedBody


class Sender:
    """The other end: messages of ASGI, and how many were asked for."""

    def __init__(self, *pieces: bytes | None, hangs: bool = False) -> None:
        self._pieces = list(pieces)
        self._hangs = hangs
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        if not self._pieces:
            if self._hangs:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        self.asked += 1
        piece = self._pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        more = bool(self._pieces) or self._hangs
        return {"type": "http.request", "body": piece, "more_body": more}


def reading(sender: Sender, read: Callable[[StreamedBody], Any], idle_s: float = 5) -> Any:
    """What a view reads in its thread."""

    async def run() -> Any:
        body = StreamedBody(sender, idle_s=idle_s)
        try:
            return await asyncio.to_thread(read, body)
        finally:
            body.close()

    return asyncio.run(run())


def whole(body: StreamedBody, size: int = 1 << 20) -> bytes:
    return b"".join(iter(lambda: body.read(size), b""))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=8), st.integers(1, 60))
def test_everything_comes_in_order(pieces: list[bytes], size: int) -> None:
    assert reading(Sender(*pieces), lambda body: whole(body, size)) == b"".join(pieces)


def test_nothing_is_read_before_the_view_asks() -> None:
    sender = Sender(b"x" * 100, b"y")
    reading(sender, lambda body: None)
    assert sender.asked == 0


def test_a_slow_view_slows_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_BATCH_BYTES", 1000)
    sender = Sender(*[b"x" * 1000] * 50)

    def read(body: StreamedBody) -> int:
        body.read()
        time.sleep(0.2)
        return sender.asked

    assert reading(sender, read) == 2  # what it has, and what is gathered meanwhile


def test_a_sender_that_goes_is_an_error() -> None:
    with pytest.raises(BodyCutOff, match="ended") as found:
        reading(Sender(b"x", None), whole)
    assert not found.value.is_late


def test_a_sender_that_says_nothing_is_an_error() -> None:
    with pytest.raises(BodyCutOff) as found:
        reading(Sender(b"x", hangs=True), whole, idle_s=0.1)
    assert found.value.is_late


class Trickling(Sender):
    """One byte after the other, with a pause before each."""

    async def __call__(self) -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return await super().__call__()


def test_a_sender_that_trickles_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_PACE_S", 0.2)
    sender = Trickling(*[b"x"] * 1000)
    with pytest.raises(BodyCutOff, match="less than 8 KB") as found:
        reading(sender, whole)
    assert found.value.is_late
    assert 2 <= sender.asked < 100


def test_a_sender_on_a_slow_line_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_PACE_S", 0.1)
    pieces = [b"x" * 4096] * 30
    assert reading(Trickling(*pieces), whole) == b"".join(pieces)


def test_a_short_body_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_PACE_S", 10)
    assert reading(Trickling(*[b"x"] * 10), whole) == b"x" * 10


def test_a_slow_view_is_no_slow_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_PACE_S", 0.1)
    monkeypatch.setattr(streamed_bodies, "_BATCH_BYTES", 1)

    def read(body: StreamedBody) -> int:
        count = 0
        while body.read():
            count += 1
            time.sleep(0.05)
        return count

    assert reading(Sender(*[b"x"] * 10), read) == 10


def test_what_comes_slowly_is_read_before_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_BATCH_S", 0.1)
    sender = Trickling(*[b"x"] * 100)

    def read(body: StreamedBody) -> int:
        body.read()
        return sender.asked

    assert reading(sender, read) < 50


def test_django_hears_of_a_sender_that_goes() -> None:
    async def run() -> Any:
        body = StreamedBody(Sender(b"x", None))
        listening = asyncio.create_task(body.listen())
        with contextlib.suppress(BodyCutOff):
            await asyncio.to_thread(whole, body)
        return await asyncio.wait_for(listening, 5)

    assert asyncio.run(run()) == {"type": "http.disconnect"}


def test_who_is_late_is_not_taken_for_gone() -> None:
    """Django would give the request up, and nobody would hear why."""

    async def run() -> None:
        body = StreamedBody(Sender(b"x", hangs=True), idle_s=0.05)
        listening = asyncio.create_task(body.listen())
        with contextlib.suppress(BodyCutOff):
            await asyncio.to_thread(whole, body)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listening, 0.2)

    asyncio.run(run())


def answered(sender: Sender, *, waits: bool = False, read: bool = False) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append({**message, "asked": sender.asked})

    async def run() -> None:
        body = StreamedBody(sender)
        if read:
            await asyncio.to_thread(whole, body)
        lingering = Lingering(send, body, waits_for_continue=waits)
        await lingering({"type": "http.response.start", "status": 413, "headers": []})
        await lingering({"type": "http.response.body", "body": b"no", "more_body": False})

    asyncio.run(run())
    return sent


def test_a_refusal_is_heard_by_who_still_sends() -> None:
    start, answer, end = answered(Sender(*[b"x" * 1000] * 20))
    assert start["headers"] == [(b"connection", b"close")]
    assert (answer["body"], answer["more_body"], answer["asked"]) == (b"no", True, 0)
    assert (end["more_body"], end["asked"]) == (False, 20)


def test_what_is_read_on_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_bodies, "_LINGER_BYTES", 5000)
    assert answered(Sender(*[b"x" * 1000] * 20))[-1]["asked"] == 5


def test_who_waits_to_be_let_in_is_not_let_in() -> None:
    start, answer = answered(Sender(b"x", b"y"), waits=True)
    assert start["headers"] == [(b"connection", b"close")]
    assert (answer["more_body"], answer["asked"]) == (False, 0)


def test_a_body_that_was_read_keeps_its_connection() -> None:
    start, answer = answered(Sender(b"x", b"y"), read=True)
    assert start["headers"] == []
    assert not answer["more_body"]
