"""A DICOM peer made of bytes, so that a test can send what no library would (PS3.8 9.3)."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA = 1, 2, 3, 4
RELEASE_RQ, RELEASE_RP, ABORT = 5, 6, 7
SUCCESS = 0x0000


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU; ``length`` lies about its body."""
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    """An item of an association PDU."""
    return struct.pack(">BBH", kind, 0, len(body) if length is None else length) + body


def pdv(context: int, control: int, content: bytes, length: int | None = None) -> bytes:
    """A presentation data value: control 1 is a command, 2 the last fragment, 3 both."""
    size = len(content) + 2 if length is None else length
    return struct.pack(">LBB", size, context, control) + content


def associate_rq(
    contexts: Sequence[tuple[str, Sequence[str]]] = ((CT_IMAGE, (EXPLICIT, IMPLICIT)),),
    *,
    called: str = "ISOCENTER",
    calling: str = "HOSTILE",
    extra: bytes = b"",
) -> bytes:
    """A correct A-ASSOCIATE-RQ; contexts get the numbers 1, 3, 5 …; ``extra`` items follow."""
    body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16)
    body += bytes(32) + item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, syntaxes) in enumerate(contexts):
        inner = item(0x30, abstract.encode())
        inner += b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
        body += item(0x20, bytes((2 * number + 1, 0, 0, 0)) + inner)
    user = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4")
    return pdu(ASSOCIATE_RQ, body + item(0x50, user) + extra)


def element(number: int, value: bytes, length: int | None = None, group: int = 0) -> bytes:
    return struct.pack("<HHL", group, number, len(value) if length is None else length) + value


def command(*elements: bytes) -> bytes:
    """A command set with its group length."""
    body = b"".join(elements)
    return element(0, struct.pack("<L", len(body))) + body


def uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def us(value: int) -> bytes:
    return struct.pack("<H", value)


def store_rq(
    sop_instance: str, *, sop_class: str = CT_IMAGE, message_id: int = 1, data_set: bool = True
) -> bytes:
    """A C-STORE-RQ (PS3.7 9.3.1.1)."""
    return command(
        element(0x0002, uid(sop_class)),
        element(0x0100, us(1)),
        element(0x0110, us(message_id)),
        element(0x0700, us(0)),
        element(0x0800, us(1 if data_set else 0x0101)),
        element(0x1000, uid(sop_instance)),
    )


def echo_rq() -> bytes:
    return command(
        element(0x0002, uid(VERIFICATION)),
        element(0x0100, us(0x30)),
        element(0x0110, us(1)),
        element(0x0800, us(0x0101)),
    )


def response_status(body: bytes) -> tuple[int, str]:
    """Status and Affected SOP Instance UID in the P-DATA-TF of a response."""
    length, _, control = struct.unpack_from(">LBB", body)
    assert control == 3, "a response comes as one command fragment"
    raw, status, instance = body[6 : 4 + length], -1, ""
    while raw:
        _, number, size = struct.unpack_from("<HHL", raw)
        value, raw = raw[8 : 8 + size], raw[8 + size :]
        if number == 0x0900:
            status = struct.unpack("<H", value)[0]
        elif number == 0x1000:
            instance = value.rstrip(b"\0").decode()
    return status, instance


def encoded(ds: Dataset) -> bytes:
    """A data set in explicit VR little endian, without file meta."""
    stream = DicomIO(io.BytesIO())
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, Dataset({e.tag: e for e in ds if e.tag.group != 2}))
    return stream.parent.getvalue()


def data_set_bytes(path: Path) -> bytes:
    """The bytes after the file meta group of a Part 10 file."""
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def transfer_syntax(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)


class RawPeer:
    """A connection to a receiver; says and hears plain PDUs."""

    def __init__(self, port: int, timeout_s: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def try_send(self, content: bytes) -> bool:
        """False when the receiver has hung up meanwhile."""
        try:
            self.socket.sendall(content)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[int, bytes] | None:
        """The next PDU; None when the receiver has closed the connection."""
        head = self._exactly(6)
        if head is None:
            return None
        kind, _, length = struct.unpack(">BBL", head)
        body = self._exactly(length)
        return None if body is None else (kind, body)

    def _exactly(self, count: int) -> bytes | None:
        parts = b""
        while len(parts) < count:
            try:
                piece = self.socket.recv(count - len(parts))
            except ConnectionError:
                return None
            if not piece:
                return None
            parts += piece
        return parts

    def rest(self) -> list[tuple[int, bytes]]:
        """All PDUs up to the end of the connection."""
        found = []
        while (one := self.receive()) is not None:
            found.append(one)
        return found

    def associate(self, request: bytes | None = None) -> int:
        """Ask for an association; the type of the PDU that answers."""
        self.send(associate_rq() if request is None else request)
        answer = self.receive()
        return answer[0] if answer else 0

    def store(
        self, sop_instance: str, data_set: bytes, context: int = 1, sop_class: str = CT_IMAGE
    ) -> int:
        """A whole C-STORE; its status."""
        self.send(pdu(P_DATA, pdv(context, 3, store_rq(sop_instance, sop_class=sop_class))))
        step = 16000
        for first in range(0, len(data_set) or 1, step):
            piece = data_set[first : first + step]
            last = 2 if first + step >= len(data_set) else 0
            self.send(pdu(P_DATA, pdv(context, last, piece)))
        answer = self.receive()
        assert answer is not None, "the receiver hung up"
        kind, body = answer
        assert kind == P_DATA, f"a PDU of type {kind} came instead of a response: {body.hex()}"
        return response_status(body)[0]

    def release(self) -> None:
        self.send(pdu(RELEASE_RQ, bytes(4)))
        answer = self.receive()
        assert answer is not None
        assert answer[0] == RELEASE_RP
