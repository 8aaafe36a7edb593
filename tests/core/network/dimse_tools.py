"""What the tests of the network share: a sink, a peer made of bytes, small files."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from isocenter.core.errors import SpoolError
from isocenter.core.network.acceptor import Acceptor
from isocenter.core.network.pdu import (
    APPLICATION_CONTEXT,
    AssociateRequest,
    ProposedContext,
    decode_associate_ac,
    encode_associate_rq,
    own_user_information,
)
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.services import AssociationInfo, NetworkEvent
from isocenter.core.network.storage import InstanceContext

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@dataclass
class Shelf:
    """A sink that keeps instances in memory."""

    stored: list[tuple[InstanceContext, bytes]] = field(default_factory=list)
    aborted: int = 0
    has_room: bool = True
    fails_on_commit: bool = False

    def __call__(self, info: AssociationInfo) -> Shelf:
        return self

    def reserve_ok(self) -> bool:
        return self.has_room

    def open(self, context: InstanceContext) -> ShelfInstance:
        return ShelfInstance(self, context)

    def close(self) -> None:
        """Nothing is held."""


class ShelfInstance:
    def __init__(self, shelf: Shelf, context: InstanceContext) -> None:
        self._shelf = shelf
        self._context = context
        self._content = bytearray()

    def write(self, buffers: Sequence[memoryview]) -> None:
        for buffer in buffers:
            self._content += buffer

    def commit(self, buffers: Sequence[memoryview]) -> None:
        self.write(buffers)
        if self._shelf.fails_on_commit:
            raise SpoolError("the disk is full")
        self._shelf.stored.append((self._context, bytes(self._content)))

    def abort(self) -> None:
        self._shelf.aborted += 1


@dataclass
class Receiving:
    """A running acceptor with what it took and told."""

    acceptor: Acceptor
    shelf: Shelf
    events: list[NetworkEvent]
    policy: list[ReceivePolicy]

    @property
    def port(self) -> int:
        return self.acceptor.addresses[0][1]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def wait_for(self, kind: str, count: int = 1) -> NetworkEvent:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = [event for event in list(self.events) if event.kind == kind]
            if len(found) >= count:
                return found[-1]
            time.sleep(0.01)
        raise AssertionError(f"no {kind} in {self.kinds()}")


class RawPeer:
    """Says and hears plain PDUs."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def receive(self) -> tuple[int, bytes] | None:
        head = self._exactly(6)
        if head is None:
            return None
        kind, _, length = struct.unpack(">BBL", head)
        body = self._exactly(length)
        return None if body is None else (kind, body)

    def associate(
        self,
        *contexts: tuple[str, Sequence[str]],
        calling: str = "TESTER",
        called: str = "ISOCENTER",
        **user: Any,
    ) -> tuple[int, bytes]:
        proposed = contexts or ((CT, (EXPLICIT,)),)
        self.send(
            encode_associate_rq(
                AssociateRequest(
                    called,
                    calling,
                    APPLICATION_CONTEXT,
                    tuple(
                        ProposedContext(2 * number + 1, abstract, tuple(syntaxes))
                        for number, (abstract, syntaxes) in enumerate(proposed)
                    ),
                    own_user_information(16384, **user),
                )
            )
        )
        answer = self.receive()
        assert answer is not None
        return answer

    def accepted(self, *contexts: tuple[str, Sequence[str]]) -> list[tuple[int, int, str]]:
        kind, body = self.associate(*contexts)
        assert kind == 2
        return [
            (one.context_id, one.result, one.transfer_syntax)
            for one in decode_associate_ac(body).contexts
        ]

    def _exactly(self, count: int) -> bytes | None:
        content = b""
        while len(content) < count:
            try:
                piece = self.socket.recv(count - len(content))
            except ConnectionError:
                return None
            if not piece:
                return None
            content += piece
        return content


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def pdv(context: int, control: int, content: bytes) -> bytes:
    return struct.pack(">LBB", len(content) + 2, context, control) + content


def ct_file(folder: Path, name: str = "ct.dcm", rows: int = 32, **changes: Any) -> Path:
    """A small CT image in a Part 10 file."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = changes.pop("SOPClassUID", CT)
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID, ds.PatientName, ds.Modality = "P1", "Test^One", "CT"
    ds.Rows = ds.Columns = rows
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 1, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    rng = np.random.default_rng(1)
    ds.PixelData = rng.integers(-1000, 1000, (rows, rows), dtype=np.int16).tobytes()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    path = folder / name
    ds.save_as(path, enforce_file_format=True)
    return path
