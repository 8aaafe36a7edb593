"""DIMSE messages out of P-DATA-TF PDUs (PS3.8 9.3.5, annex E), without copies.

The reader fills one buffer from the socket and hands out views of the data set's fragments in
it, however the sender cut them: several fragments in a PDU, one fragment over many reads,
one-byte fragments.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isocenter.core.errors import AssociationAborted, NetworkTimeout, ProtocolError

from .command import MAX_COMMAND_BYTES, Command, decode_command
from .connection import Buffer, Connection
from .pdu import ABORT, P_DATA, RELEASE_RQ

BUFFER_BYTES = 288 << 10  # half of a CT slice: the disk writes it while the rest comes
_MAX_PIECES = 900  # of one chunk; more would not fit one gathered write
_SMALL_READ = 16 * 1024
_PDU_HEADER = struct.Struct(">BBL")
_PDV_HEADER = struct.Struct(">LBB")
_COMMAND_BIT, _LAST_BIT = 0x01, 0x02


@dataclass(frozen=True)
class Chunk:
    """A run of data set bytes; the views are valid until the next chunk is asked for."""

    pieces: list[memoryview]
    is_last: bool


class Message:
    """A command, and its data set when it has one."""

    def __init__(self, context_id: int, command: Command, reader: MessageReader) -> None:
        self.context_id = context_id
        self.command = command
        self._chunks = reader.chunks()

    def chunks(self) -> Iterator[Chunk]:
        """The data set as it comes in; goes on where it was left when it is asked for again.

        Raises like :meth:`MessageReader.next_message`.
        """
        return self._chunks

    def read(self, limit: int) -> bytes:
        """A small data set as a whole.

        Raises:
            ProtocolError: longer than ``limit`` bytes.
        """
        whole = bytearray()
        for chunk in self.chunks():
            for piece in chunk.pieces:
                whole += piece
            if len(whole) > limit:
                raise ProtocolError(f"a data set is longer than {limit} bytes")
        return bytes(whole)

    def drain(self) -> None:
        """Read what is left of the data set and forget it."""
        for _ in self.chunks():
            pass


class MessageReader:
    """Reads PDUs from a connection.

    Args:
        connection: where from.
        max_pdu: largest P-DATA-TF that the peer may send, in bytes after the header.
        pdu_timeout_s: longest time for the whole of one PDU; a peer that trickles is cut off.
        buffer_bytes: size of the only buffer.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        max_pdu: int,
        pdu_timeout_s: float,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._connection = connection
        self._max_pdu = max_pdu
        self._pdu_timeout_s = pdu_timeout_s
        # Anonymous memory of its own: costs only the pages that are used, and goes back to the
        # system with the association, which a bytearray of this size may not.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._view = memoryview(mmap.mmap(-1, buffer_bytes, flags=flags))
        self._start = 0
        self._end = 0
        self._head_at = 0
        self._pdu_left = 0  # bytes of the current P-DATA-TF not looked at yet
        self._deadline = 0.0
        self._data_context: int | None = None  # set while a data set is being read

    def read_pdu(self, limit: int) -> tuple[int, bytes]:
        """One PDU that is no P-DATA-TF, as (type, body).

        Raises:
            ProtocolError: longer than ``limit``.
        """
        kind, length = self._read_header()
        if length > min(limit, len(self._view) - 6):
            raise ProtocolError(f"a PDU of type {kind:02X}H has {length} bytes, at most {limit}")
        self._need(length)
        body = bytes(self._view[self._start : self._start + length])
        self._start += length
        return kind, body

    @property
    def last_head(self) -> bytes:
        """Six bytes of the head of the PDU that was begun last, until the next is read."""
        return bytes(self._view[self._head_at : self._head_at + 6])

    def has_bytes(self) -> bool:
        """True when the next message has begun to come in, or the connection has ended."""
        return self._start < self._end or self._connection.is_readable()

    def set_pdu_timeout(self, timeout_s: float) -> None:
        self._pdu_timeout_s = timeout_s

    def next_message(self, on_begin: Callable[[], object] | None = None) -> Message | None:
        """The next command; None when the peer asks for release.

        Args:
            on_begin: called when its first bytes are here.

        Raises:
            AssociationAborted: A-ABORT, or the connection is gone.
            ProtocolError: what PS3.7 or PS3.8 do not allow.
            NetworkTimeout: silence, or a PDU that takes too long.
        """
        if self._data_context is not None:
            raise ProtocolError("a new message was asked for inside a data set")
        command = bytearray()
        context: int | None = None
        deadline: float | None = None
        while True:
            if self._pdu_left == 0 and not self._next_p_data():
                if context is not None:
                    raise ProtocolError("release was asked for inside a command")
                return None
            if deadline is None:
                deadline = self._deadline
                if on_begin is not None:
                    on_begin()
            length, context_id, control = self._read_pdv_header()
            if not control & _COMMAND_BIT or context not in (None, context_id):
                raise ProtocolError("data, or another context, where a command should go on")
            context = context_id
            if len(command) + length > MAX_COMMAND_BYTES:
                raise ProtocolError(f"a command set is longer than {MAX_COMMAND_BYTES} bytes")
            if time.monotonic() > deadline:
                raise NetworkTimeout("a command took too long to come in")
            self._need(length)
            command += self._view[self._start : self._start + length]
            self._start += length
            self._pdu_left -= length
            if control & _LAST_BIT:
                break
        decoded = decode_command(command)
        if decoded.has_data_set:
            self._data_context = context_id
        return Message(context_id, decoded, self)

    def chunks(self) -> Iterator[Chunk]:
        """The data set of the message that was read last, in runs as big as the buffer allows."""
        pieces: list[memoryview] = []
        is_begun = self._data_context is not None
        while self._data_context is not None:
            if self._must_flush() or len(pieces) >= _MAX_PIECES:
                if pieces:
                    yield Chunk(pieces, is_last=False)
                    pieces = []
                if self._start == self._end:
                    self._start = self._end = 0
            if self._pdu_left == 0 and not self._next_p_data():
                raise ProtocolError("release was asked for inside a data set")
            left, context_id, control = self._read_pdv_header()
            if control & _COMMAND_BIT or context_id != self._data_context:
                raise ProtocolError("a command, or another context, where data should go on")
            while left:
                if self._start == self._end:
                    if self._end == len(self._view):
                        yield Chunk(pieces, is_last=False)
                        pieces = []
                        self._start = self._end = 0
                    self._receive()
                stop = min(self._start + left, self._end)
                pieces.append(self._view[self._start : stop])
                left -= stop - self._start
                self._pdu_left -= stop - self._start
                self._start = stop
            if control & _LAST_BIT:
                self._data_context = None
        if is_begun:
            yield Chunk(pieces, is_last=True)

    def _must_flush(self) -> bool:
        """True when the next headers may not fit behind what is in the buffer."""
        return len(self._view) - self._start < 12

    def _next_p_data(self) -> bool:
        """Read headers up to the next P-DATA-TF; False when it is A-RELEASE-RQ."""
        kind, length = self._read_header()
        if kind == P_DATA:
            if length > self._max_pdu or length < 6:
                raise ProtocolError(f"a P-DATA-TF has {length} bytes, at most {self._max_pdu}")
            self._pdu_left = length
            return True
        if kind not in (RELEASE_RQ, ABORT) or length != 4:
            raise ProtocolError(f"a PDU of type {kind:02X}H and {length} bytes came unexpected")
        self._need(length)
        source, reason = self._view[self._start + 2], self._view[self._start + 3]
        self._start += length
        if kind == ABORT:
            raise AssociationAborted(f"the peer aborted (source {source}, reason {reason})")
        return False

    def _read_header(self) -> tuple[int, int]:
        if self._start == self._end and self._data_context is None:
            self._start = self._end = 0  # nobody holds views between messages
        if self._start == self._end:
            self._deadline = 0.0
            self._receive()  # silence between PDUs is another limit than a slow PDU
        self._deadline = time.monotonic() + self._pdu_timeout_s
        self._need(6)
        kind, _, length = _PDU_HEADER.unpack_from(self._view, self._start)
        self._head_at = self._start
        self._start += 6
        return kind, length

    def _read_pdv_header(self) -> tuple[int, int, int]:
        """Length of the fragment, context, control header (PS3.8 9.3.5.1, E.2)."""
        if self._pdu_left < 6:
            raise ProtocolError("a P-DATA-TF ends inside the head of a fragment")
        self._need(6)
        length, context_id, control = _PDV_HEADER.unpack_from(self._view, self._start)
        self._start += 6
        self._pdu_left -= 6
        if length < 2 or length - 2 > self._pdu_left:
            raise ProtocolError(f"a fragment of {length} bytes does not fit its P-DATA-TF")
        return length - 2, context_id, control

    def _need(self, count: int) -> None:
        """Have ``count`` bytes in one piece at the start."""
        if self._start + count > len(self._view):
            left = self._end - self._start
            self._view[:left] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, left
        while self._end - self._start < count:
            self._receive()

    def _receive(self) -> None:
        count = self._connection.receive_into(self._view[self._end :])
        if count < _SMALL_READ:
            self._connection.quick_ack()
        self._end += count
        if self._deadline and time.monotonic() > self._deadline:
            raise NetworkTimeout(f"a PDU was not whole after {self._pdu_timeout_s:g} s")


def encode_message(
    context_id: int, command: bytes, data_set: bytes = b"", *, max_pdu: int = 0
) -> list[Buffer]:
    """P-DATA-TF PDUs of a message, ready to be sent in one call.

    Args:
        max_pdu: what the peer takes, in bytes after the PDU header; 0 is no limit.
    """
    buffers = fragments(context_id, command, is_command=True, max_pdu=max_pdu)
    if data_set:
        buffers += fragments(context_id, data_set, is_command=False, max_pdu=max_pdu)
    return buffers


def fragments(
    context_id: int,
    content: Buffer,
    *,
    is_command: bool,
    max_pdu: int,
    is_end: bool = True,
) -> list[Buffer]:
    """One fragment per PDU: heads and views of ``content`` in turn.

    Args:
        is_end: False when more of the same data set follows.
    """
    view = memoryview(content)
    step = max(max_pdu - 6, 2) if max_pdu else len(view) or 1
    kind = _COMMAND_BIT if is_command else 0
    buffers: list[Buffer] = []
    for first in range(0, len(view), step) if view else (0,):
        piece = view[first : first + step]
        is_last = is_end and first + step >= len(view)
        control = kind | (_LAST_BIT if is_last else 0)
        head = _PDU_HEADER.pack(P_DATA, 0, len(piece) + 6)
        buffers += [head + _PDV_HEADER.pack(len(piece) + 2, context_id, control), piece]
    return buffers
