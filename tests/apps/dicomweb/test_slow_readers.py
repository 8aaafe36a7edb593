"""Transcoded series for slow readers, on a real socket: they cannot keep others out."""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.db import connections

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.services import take_in
from isocenter.apps.dicomweb import transcoding_places
from isocenter.runtime.layout import Layout
from isocenter.runtime.web import protocol, streaming
from isocenter.runtime.web.bodies import BoundedHandler
from stand.http_server import served

from .conftest import STUDY, encoded, image

ADDRESS = f"/dicom-web/studies/{STUDY}/series/{STUDY}.1"
RLE = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'
SIDE = 1024
IMAGES = 6  # more than the sockets hold


@pytest.fixture
def port(
    transactional_db: None, installation: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    # Threads of requests leave nothing open behind them.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    for number in range(1, IMAGES + 1):
        path = tmp_path / "one.dcm"
        noise = os.urandom(2 * SIDE * SIDE)
        path.write_bytes(encoded(image(number, Rows=SIDE, Columns=SIDE, PixelData=noise)))
        take_in(path, source="SCANNER")
    with served(BoundedHandler()) as found:
        yield found


@pytest.fixture
def silent(port: int) -> Iterator[Callable[[str], socket.socket]]:
    """Asks for the series in another syntax, and takes nothing of it."""

    def ask(token: str) -> socket.socket:
        connection = socket.socket()
        stack.callback(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        head = f"GET {ADDRESS} HTTP/1.1\r\nHost: localhost\r\n"
        connection.sendall(f"{head}Authorization: Bearer {token}\r\nAccept: {RLE}\r\n\r\n".encode())
        return connection

    with ExitStack() as stack:
        yield ask


def token_of(name: str) -> str:
    return create_token(User.objects.create(username=name, role="administrator"), ["all"]).text


def get(port: int, token: str) -> tuple[int, str | None, bytes]:
    """Status, Retry-After, and the body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        headers = {"Authorization": f"Bearer {token}", "Accept": RLE, "Host": "localhost"}
        connection.request("GET", ADDRESS, headers=headers)
        with connection.getresponse() as answer:
            return answer.status, answer.headers["Retry-After"], answer.read()


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_who_never_takes_what_was_sent_is_cut_off(
    port: int, silent: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing alone would wait for ever for the rest to be taken."""
    monkeypatch.setattr(protocol, "MOST_UNACKNOWLEDGED_S", 0.5)
    connection = silent(token_of("silent"))
    wait_for(lambda: _is_cut_off(connection))


def _is_cut_off(connection: socket.socket) -> bool:
    try:
        connection.send(b"\r\n")  # who was cut off hears of it when it says something
    except ConnectionError:
        return True
    return False


def test_silent_readers_of_one_account_do_not_keep_others_out(
    port: int, silent: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcoding_places, "OF_ONE_ACCOUNT", 2)
    greedy, other = token_of("greedy"), token_of("other")
    for _ in range(2):
        silent(greedy)
    wait_for(lambda: len(transcoding_places._answers) == 2)
    status, retry_after, text = get(port, greedy)
    assert (status, retry_after) == (503, "5")
    assert b"of this account" in text
    status, _, body = get(port, other)
    assert status == 200
    assert len(body) > IMAGES * 2 * SIDE * SIDE


def test_a_silent_reader_is_ended_and_gives_its_place_back(
    port: int, silent: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PLACE_STALL_S", 0.5)
    monkeypatch.setattr(transcoding_places, "ANSWERS", 1)
    silent(token_of("silent"))
    wait_for(lambda: len(transcoding_places._answers) == 1)
    other = token_of("other")
    assert get(port, other)[:2] == (503, "5")
    wait_for(lambda: not transcoding_places._answers)
    assert get(port, other)[0] == 200
