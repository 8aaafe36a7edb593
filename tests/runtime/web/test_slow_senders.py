"""STOW-RS with slow senders, on a real socket: they cannot keep others out."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from django.db import connections

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.dicomweb.stow import places
from isocenter.runtime.layout import Layout
from isocenter.runtime.web import streamed_bodies
from isocenter.runtime.web.bodies import BoundedHandler
from stand.http_server import served

BEGIN = b"--limit\r\nContent-Type: application/dicom\r\n\r\n"
WHOLE = BEGIN + b"no DICOM\r\n--limit--\r\n"
TYPE = 'multipart/related; type="application/dicom"; boundary=limit'


@pytest.fixture
def port(
    transactional_db: None, installation: Layout, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    # Threads of requests leave nothing open behind them.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    with served(BoundedHandler()) as found:
        yield found


@pytest.fixture
def slow(port: int) -> Iterator[Callable[[str], socket.socket]]:
    """Begins a request and never ends it: a byte now and then."""
    is_over = threading.Event()
    opened: list[socket.socket] = []

    def trickle() -> None:
        while not is_over.wait(0.05):
            for each in list(opened):
                try:
                    each.sendall(b"x")
                except OSError:
                    opened.remove(each)

    def begin(token: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        head = (
            "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: {TYPE}\r\n\r\n"
        )
        connection.sendall(head.encode() + BEGIN)
        opened.append(connection)
        stack.callback(connection.close)
        return connection

    with ExitStack() as stack:
        thread = threading.Thread(target=trickle)
        thread.start()
        yield begin
        is_over.set()
        thread.join()


def token_of(name: str) -> str:
    user = User.objects.create(username=name, role="researcher")
    return create_token(user, ["upload"]).text


def post(port: int, token: str) -> tuple[int, str | None, str]:
    """Status, Retry-After, and the body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": TYPE, "Host": "localhost"}
        connection.request("POST", "/dicom-web/studies", WHOLE, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.headers["Retry-After"], answer.read().decode()


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_slow_senders_of_one_account_do_not_keep_others_out(
    port: int, slow: Callable[[str], socket.socket]
) -> None:
    greedy, other = token_of("greedy"), token_of("other")
    for _ in range(places.OF_ONE_ACCOUNT):
        slow(greedy)
    wait_for(lambda: places._taken.total() == places.OF_ONE_ACCOUNT)
    status, retry_after, text = post(port, greedy)
    assert (status, retry_after) == (503, "5")
    assert "of this account" in text
    assert post(port, other)[0] == 409  # read and judged: it is no DICOM


def test_a_slow_sender_is_ended_and_gives_its_place_back(
    port: int, slow: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed_bodies, "_PACE_S", 0.5)
    monkeypatch.setattr(places, "AT_ONCE", 1)
    token = token_of("slow")
    answer = http.client.HTTPResponse(slow(token))
    wait_for(lambda: places._taken.total() == 1)
    assert post(port, token_of("other"))[:2] == (503, "5")
    with answer:
        answer.begin()
        text = answer.read().decode()
        assert (answer.status, answer.headers["Connection"]) == (408, "close"), text
    assert "less than 8 KB" in text
    wait_for(lambda: not places._taken)
    assert post(port, token)[0] == 409
