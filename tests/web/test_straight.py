"""Files straight to the socket: byte for byte, at the reader's pace, and broken where a file is."""

from __future__ import annotations

import errno
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from isocenter.apps.dicomweb import files_sent
from isocenter.apps.dicomweb.files_sent import (
    STRAIGHT,
    Content,
    FileSlice,
    TransferBroken,
    _straight,
    length_of,
    pieces_of,
    whole_file,
)
from isocenter.runtime.web import bodiless
from isocenter.runtime.web import straight as straight_module
from isocenter.runtime.web.straight import StraightSender
from stand.http_server import served

Serve = Callable[[list[Content]], int]
SIZE = 3 << 20


class Answering:
    """An application that answers with these contents, and notes what came by the event loop."""

    def __init__(self) -> None:
        self.contents: list[Content] = []
        self.ends_with_reader = False
        self.goes_straight = True
        self.by_loop = 0
        self.error: BaseException | None = None
        self.over = threading.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        sending = self._answer(scope, send)
        await (bodiless._until_gone(sending, receive) if self.ends_with_reader else sending)

    async def _answer(self, scope: dict[str, Any], send: Any) -> None:
        length = str(length_of(self.contents)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            straight = scope["extensions"][STRAIGHT] if self.goes_straight else _all_left
            async for piece in _straight(self.contents, straight):
                self.by_loop += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.over.set()


async def _all_left(contents: Any) -> Any:
    return contents


@pytest.fixture
def application() -> Answering:
    return Answering()


@pytest.fixture
def port(application: Answering) -> Iterator[int]:
    with served(application) as found:
        yield found


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.dcm" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number, 7, 250]) * (SIZE // 3))
    return paths


def contents_of(files: list[Path]) -> list[Content]:
    contents: list[Content] = []
    for number, path in enumerate(files):
        contents += [f"--head {number}\r\n".encode(), whole_file(path, SIZE), b"\r\n"]
    return [*contents, FileSlice(files[0], 5, 1000), b"--the end"]


def ask(port: int, *, holds: int = 0) -> socket.socket:
    """A request; its socket holds so many bytes of the answer (0: what the system thinks fit)."""
    connection = socket.socket()
    connection.settimeout(20)
    if holds:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holds)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return connection


def body_of(connection: socket.socket, length: int) -> bytes:
    """What comes behind the head; shorter than ``length`` where the server ends it before."""
    found = bytearray()
    while b"\r\n\r\n" not in found:
        found += connection.recv(100)
    body = found.partition(b"\r\n\r\n")[2]
    while len(body) < length:
        try:
            piece = connection.recv(1 << 20)
        except ConnectionError:
            break
        if not piece:
            break
        body += piece
    return bytes(body)


def test_what_comes_is_what_lies_there_and_the_connection_stays(application, port, files):
    application.contents = contents_of(files)
    whole = b"".join(pieces_of(application.contents))
    with ask(port) as connection:
        for _ in range(3):
            assert body_of(connection, len(whole)) == whole
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert body_of(connection, len(whole)) == whole
    assert application.by_loop == 0


def test_a_slow_reader_is_left_to_the_event_loop_and_misses_nothing(
    application, port, files, monkeypatch
):
    monkeypatch.setattr(straight_module, "PATIENCE_S", 0.05)
    application.contents = contents_of(files)
    whole = b"".join(pieces_of(application.contents))
    with ask(port) as connection:
        time.sleep(0.5)  # more than the sockets hold is waiting by then
        assert body_of(connection, len(whole)) == whole
    assert 0 < application.by_loop < len(whole)


@pytest.mark.parametrize(("least", "is_left"), [(1 << 30, True), (1, False)])
def test_a_reader_who_takes_a_little_all_the_time_is_left_to_the_event_loop(
    application, port, files, monkeypatch, least, is_left
):
    monkeypatch.setattr(straight_module, "PATIENCE_S", 20)
    monkeypatch.setattr(straight_module, "PACE_S", 0.1)
    monkeypatch.setattr(straight_module, "LEAST_BYTES_PER_S", least)
    application.contents = contents_of(files)
    length = length_of(application.contents)
    with ask(port, holds=64 << 10) as connection:
        for _ in range(40):
            assert connection.recv(64 << 10)
            time.sleep(0.02)
        while connection.recv(1 << 20) and not application.over.is_set():
            pass
    assert application.over.wait(20)
    assert (0 < application.by_loop < length) if is_left else application.by_loop == 0


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_a_reader_whose_machine_is_gone_is_no_error(application, port, files, monkeypatch, number):
    class Dead(socket.socket):
        def send(self, *_: Any) -> int:
            raise OSError(number, "no way there")

    monkeypatch.setattr(straight_module, "socket", SimpleNamespace(socket=Dead))
    application.contents = contents_of(files)
    with ask(port) as connection:
        body_of(connection, length_of(application.contents))
    assert application.over.wait(20)
    assert application.error is None


def test_a_disk_that_does_not_read_is_no_reader_who_left(application, port, files, monkeypatch):
    def broken(*_: Any) -> int:
        raise OSError(errno.ETIMEDOUT, "the disk does not answer")

    monkeypatch.setattr(files_sent, "os", SimpleNamespace(**{**vars(os), "preadv": broken}))
    application.contents = contents_of(files)
    with ask(port) as connection:
        assert len(body_of(connection, SIZE)) < SIZE
    assert application.over.wait(20)
    assert isinstance(application.error, TransferBroken)


@pytest.mark.parametrize("is_long", [True, False])
def test_the_log_says_which_file_of_the_archive_breaks_a_transfer(
    application, port, installation, is_long
):
    file = installation.archive / "1.2.3" / "1.2.3.4" / "1.2.3.4.5.dcm"
    file.parent.mkdir(parents=True)
    application.contents = [whole_file(file, SIZE)]
    application.goes_straight = is_long
    with capture_logs() as logged, ask(port) as connection:
        body_of(connection, SIZE)
        assert application.over.wait(20)
    assert [(each["event"], each["file"]) for each in logged] == [
        ("transfer_broken", "1.2.3/1.2.3.4/1.2.3.4.5.dcm")
    ]
    assert "1.2.3" not in str(application.error)


def test_the_log_names_no_file_that_is_not_of_the_archive(application, port, files):
    files[0].unlink()
    application.contents = [whole_file(files[0], SIZE)]
    with capture_logs() as logged, ask(port) as connection:
        body_of(connection, SIZE)
        assert application.over.wait(20)
    assert [(each["event"], each["file"]) for each in logged] == [("transfer_broken", "")]


def test_many_at_once_all_get_everything(application, port, files):
    application.contents = contents_of(files)
    whole = b"".join(pieces_of(application.contents))
    results = []

    def read() -> None:
        with ask(port) as connection:
            results.append(body_of(connection, len(whole)) == whole)

    readers = [threading.Thread(target=read) for _ in range(3 * straight_module.AT_ONCE)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert results == [True] * len(readers)
    assert StraightSender._at_work == 0


def test_a_file_of_another_size_breaks_the_transfer(application, port, files):
    application.contents = contents_of(files)
    files[2].write_bytes(b"short")
    with ask(port) as connection:
        body = body_of(connection, length_of(application.contents))
        assert SIZE < len(body) < length_of(application.contents)
    assert application.over.wait(20)
    assert isinstance(application.error, TransferBroken)


def test_a_reader_who_leaves_ends_it(application, port, files):
    application.contents = contents_of(files * 20)
    with ask(port) as connection:
        assert connection.recv(1000)
    assert application.over.wait(20)
    assert application.error is None
    deadline = time.monotonic() + 20
    while StraightSender._at_work and time.monotonic() < deadline:
        time.sleep(0.01)
    assert StraightSender._at_work == 0


def test_a_connection_that_breaks_after_its_reader_left_is_nobodys_news(
    application, port, files, monkeypatch, caplog
):
    def broken(sending: Any) -> None:
        with sending._socket:
            while not sending.must_stop:
                time.sleep(0.01)
        raise BrokenPipeError

    monkeypatch.setattr(straight_module._Sending, "run", broken)
    application.contents = contents_of(files)
    application.ends_with_reader = True
    with caplog.at_level(logging.ERROR, "asyncio"):
        ask(port).close()
        assert application.over.wait(20)
        gc.collect()
    assert not [each for each in caplog.records if "never retrieved" in each.getMessage()]
