"""Answers made while they are sent: clients who leave, and no work that waits for other work."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from isocenter.runtime.web import bodiless, streaming
from isocenter.runtime.web.streaming import TRANSCODERS, Work, ahead, reader_is_gone
from stand.http_server import served

PATIENCE_S = 20


class Answering:
    """An application: each path is a kind of work, whose pieces a test gives."""

    def __init__(self) -> None:
        self.pieces: dict[Work, Callable[[], Iterator[bytes]]] = {}
        self.over = threading.Semaphore(0)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        work = Work(scope["path"].strip("/"))
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def sending() -> None:
            async for piece in ahead(self.pieces[work](), work=work):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})

        try:
            await bodiless._until_gone(sending(), receive)
        finally:
            self.over.release()


@pytest.fixture
def application() -> Answering:
    return Answering()


@pytest.fixture
def port(application: Answering) -> Iterator[int]:
    with served(application) as found:
        yield found


def ask(port: int, work: Work) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    connection.sendall(f"GET /{work.value} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection


def answer_of(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(4096)
        assert piece, "broken off"
        found += piece
    return found


class Occupied:
    """Pieces that last until their reader is gone, or the test ends."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.count = 0
        self.heeds_readers = True
        self.end = threading.Event()

    def pieces(self) -> Iterator[bytes]:
        self.count += 1
        self.begun.release()
        while not (self.end.is_set() or (self.heeds_readers and reader_is_gone())):
            time.sleep(0.01)
        yield b"made"


@pytest.fixture
def occupied(application: Answering) -> Iterator[Occupied]:
    made = Occupied()
    application.pieces[Work.TRANSCODING] = made.pieces
    yield made
    made.end.set()


def test_transcoding_keeps_no_other_work_waiting(application, port, occupied):
    others = [work for work in Work if work is not Work.TRANSCODING]
    for work in others:
        application.pieces[work] = lambda: iter([b"here"])
    asking = [ask(port, Work.TRANSCODING) for _ in range(TRANSCODERS + 3)]
    for _ in range(TRANSCODERS):
        assert occupied.begun.acquire(timeout=PATIENCE_S)
    for work in others:
        with ask(port, work) as connection:
            assert b"here" in answer_of(connection)
    for connection in asking:
        connection.close()


def test_what_waits_for_a_reader_who_left_is_never_begun(application, port, occupied):
    occupied.heeds_readers = False
    waiting = 10
    asking = [ask(port, Work.TRANSCODING) for _ in range(TRANSCODERS + waiting)]
    for _ in range(TRANSCODERS):
        assert occupied.begun.acquire(timeout=PATIENCE_S)
    time.sleep(0.3)  # the others stand behind
    for connection in asking:
        connection.close()
    for _ in range(waiting):
        assert application.over.acquire(timeout=PATIENCE_S)
    occupied.end.set()
    for _ in range(TRANSCODERS):
        assert application.over.acquire(timeout=PATIENCE_S)
    assert occupied.count == TRANSCODERS


def test_what_is_being_made_learns_that_its_reader_left(application, port, occupied):
    connection = ask(port, Work.TRANSCODING)
    assert occupied.begun.acquire(timeout=PATIENCE_S)
    assert not application.over.acquire(timeout=0.2)
    connection.close()
    assert application.over.acquire(timeout=PATIENCE_S)


def test_an_error_after_the_reader_left_is_nobodys_news(application, port, caplog):
    begun = threading.Event()

    def pieces() -> Iterator[bytes]:
        begun.set()
        while not reader_is_gone():
            time.sleep(0.01)
        raise OSError("the disk is gone")
        yield b""

    application.pieces[Work.READING] = pieces
    with caplog.at_level(logging.ERROR, "asyncio"):
        connection = ask(port, Work.READING)
        assert begun.wait(PATIENCE_S)
        connection.close()
        assert application.over.acquire(timeout=PATIENCE_S)
        gc.collect()
    assert not [each for each in caplog.records if "never retrieved" in each.getMessage()]


def test_no_thread_but_that_of_a_piece_has_a_reader():
    assert not reader_is_gone()
    assert set(streaming._threads) == set(Work)
