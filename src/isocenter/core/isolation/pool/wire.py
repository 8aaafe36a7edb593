"""Messages between the parent and a pool's processes: a JSON object, then bytes as they are."""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

Data = bytes | bytearray | memoryview

_HEAD = struct.Struct("<IQ")  # length of the object, length of the bytes
_MAX_OBJECT = 64 << 20
_PIECE = 1 << 20


def tell(connection: socket.socket, message: Mapping[str, Any], data: Data = b"") -> None:
    """Send an object and bytes.

    Raises:
        OSError: the other side is gone, or does not take it in the socket's time.
    """
    view = memoryview(data).cast("B")
    text = json.dumps(message).encode()
    head = _HEAD.pack(len(text), len(view)) + text
    connection.sendall(head)
    for start in range(0, len(view), _PIECE):
        connection.sendall(view[start : start + _PIECE])


def tell_with_socket(
    connection: socket.socket, message: Mapping[str, Any], handed: socket.socket
) -> None:
    """Send an object, and an open socket with its first byte."""
    text = json.dumps(message).encode()
    head = _HEAD.pack(len(text), 0)
    rights = array.array("i", [handed.fileno()])
    connection.sendmsg([head[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    connection.sendall(head[1:] + text)


def hear(connection: socket.socket) -> dict[str, Any] | None:
    """The next object, which has no bytes behind it; None where the other side has closed."""
    first = connection.recv(1)
    return None if not first else _object(connection, first)


def hear_with_socket(
    connection: socket.socket,
) -> tuple[dict[str, Any] | None, socket.socket | None]:
    """The next object and the socket that came with it, if one did."""
    room = socket.CMSG_SPACE(array.array("i").itemsize)
    first, control, _, _ = connection.recvmsg(1, room)
    if not first:
        return None, None
    handed = None
    for level, kind, payload in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(payload[: descriptors.itemsize])
            handed = socket.socket(fileno=descriptors[0])
    return _object(connection, first), handed


def _object(connection: socket.socket, first: bytes) -> dict[str, Any]:
    text_length, _ = _HEAD.unpack(first + bytes(_exactly(connection, _HEAD.size - 1)))
    if text_length > _MAX_OBJECT:
        raise ConnectionError("a message is too long")
    found: dict[str, Any] = json.loads(bytes(_exactly(connection, text_length)))
    return found


def _exactly(connection: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise ConnectionError("the other side has closed in the middle of a message")
        view = view[count:]
    return data


class Hearing:
    """An answer that comes in pieces, for a socket that does not block.

    Args:
        max_bytes: of the data; more is a broken process.
    """

    def __init__(self, connection: socket.socket, max_bytes: int) -> None:
        self._connection = connection
        self._max_bytes = max_bytes
        self._buffer = bytearray(_HEAD.size)
        self._filled = 0
        self._stage = 0
        self._data_length = 0
        self.message: dict[str, Any] = {}
        self.data = bytearray()

    def more(self) -> bool:
        """Take what has come; True when all of it is here.

        Raises:
            ConnectionError: the other side has closed, or says nonsense.
        """
        while self._stage < 3:
            if self._filled == len(self._buffer):
                self._advance()
                continue
            try:
                view = memoryview(self._buffer)[self._filled :]
                count = self._connection.recv_into(view)
            except (BlockingIOError, InterruptedError):
                return False
            if not count:
                raise ConnectionError("the process has closed its socket")
            self._filled += count
        return True

    def _advance(self) -> None:
        if self._stage == 0:
            text_length, self._data_length = _HEAD.unpack(self._buffer)
            if text_length > _MAX_OBJECT or self._data_length > self._max_bytes:
                raise ConnectionError("an answer is too long")
            self._buffer = bytearray(text_length)
        elif self._stage == 1:
            self.message = json.loads(bytes(self._buffer))
            self._buffer = bytearray(self._data_length)
        else:
            self.data = self._buffer
        self._filled = 0 if self._stage < 2 else self._filled
        self._stage += 1
