"""Ports where no DICOM is: a sentence says what was found, and where."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from isocenter.core.errors import NetworkError
from isocenter.core.network.client import Peer
from isocenter.core.network.requestor import echo
from isocenter.core.network.strangers import tls_failure
from isocenter.core.network.tls import ClientTls

HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


@contextmanager
def somebody(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as sock:
                sock.settimeout(20)
                sock.recv(65536)
                answer(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(20)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda sock: sock.sendall(HTTP), r"is no DICOM peer: a web server \(HTTP\) answers"),
        (lambda sock: sock.sendall(ALERT), "is no DICOM peer: a TLS server, which wants TLS"),
        (lambda sock: sock.sendall(b"SSH-2.0-x\r\n"), "is no DICOM peer: an SSH server"),
        (lambda sock: sock.sendall(b"220 mail\r\n"), "is no DICOM peer: a mail or file server"),
        (lambda sock: sock.sendall(b"\xff\0\0\0\0\0"), "is no DICOM peer: something else"),
        (lambda sock: None, "without an answer; does it want TLS"),
        (reset, "without an answer; does it want TLS"),
    ],
    ids=["http", "tls", "ssh", "smtp", "noise", "closed", "reset"],
)
def test_what_is_there_instead(answer: Callable[[socket.socket], None], found: str) -> None:
    with somebody(answer) as port:
        with pytest.raises(NetworkError, match=found) as raised:
            echo(Peer("127.0.0.1", port, timeout_s=10))
        assert f"127.0.0.1:{port}" in str(raised.value)
        assert "Errno" not in str(raised.value)


def test_tls_where_none_is_talked() -> None:
    with somebody(lambda sock: sock.sendall(HTTP)) as port:
        with pytest.raises(NetworkError, match="it does not talk TLS there") as raised:
            echo(Peer("127.0.0.1", port, timeout_s=10, tls=ClientTls()))
        assert "SSL:" not in str(raised.value)


def test_what_openssl_says_and_no_sentence_covers_is_kept() -> None:
    assert "odd" in tls_failure(ssl.SSLError(1, "odd"))
