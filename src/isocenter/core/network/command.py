"""DIMSE command sets (PS3.7 6.3.1 and annex E): group 0000 in implicit little endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from isocenter.core.errors import ProtocolError

MAX_COMMAND_BYTES = 64 * 1024
_LONGEST_COMMENT = 64

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RQ, C_FIND_RQ, C_MOVE_RQ = 0x0010, 0x0020, 0x0021
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130
C_CANCEL_RQ = 0x0FFF
RESPONSE_BIT = 0x8000

NO_DATA_SET = 0x0101
HAS_DATA_SET = 0x0001

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT = 0x0113
INVALID_ARGUMENT = 0x0115
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

_GROUP_LENGTH, _AFFECTED_CLASS, _REQUESTED_CLASS = 0x0000, 0x0002, 0x0003
_COMMAND_FIELD, _MESSAGE_ID, _RESPONDED_ID = 0x0100, 0x0110, 0x0120
_PRIORITY, _DATA_SET_TYPE, _STATUS, _COMMENT = 0x0700, 0x0800, 0x0900, 0x0902
_MOVE_DESTINATION = 0x0600
_AFFECTED_INSTANCE, _REQUESTED_INSTANCE = 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008
_REMAINING, _COMPLETED, _FAILED, _WARNING = 0x1020, 0x1021, 0x1022, 0x1023
_MOVE_ORIGINATOR, _MOVE_ORIGINATOR_ID = 0x1030, 0x1031

_ELEMENT = struct.Struct("<HHL")
_SHORT = struct.Struct("<HHLH")


@dataclass(frozen=True)
class Command:
    """A command set; what it does not have is 0 or empty."""

    field: int
    message_id: int = 0
    responded_id: int = 0
    affected_sop_class: str = ""
    affected_sop_instance: str = ""
    data_set_type: int = NO_DATA_SET
    status: int = 0
    comment: str = ""
    move_destination: str = ""
    event_type: int = 0
    action_type: int = 0

    @property
    def has_data_set(self) -> bool:
        return self.data_set_type != NO_DATA_SET

    @property
    def is_request(self) -> bool:
        return not self.field & RESPONSE_BIT


def decode_command(raw: bytes | bytearray) -> Command:
    """Read a command set.

    Raises:
        ProtocolError: elements that are cut off, out of group 0000, or of a wrong length; no
            command field.
    """
    values: dict[int, bytes] = {}
    offset, end = 0, len(raw)
    while offset < end:
        if end - offset < 8:
            raise ProtocolError("a command set is cut off")
        group, element, length = _ELEMENT.unpack_from(raw, offset)
        offset += 8
        if group != 0 or length > end - offset:
            raise ProtocolError(f"a command set has ({group:04X},{element:04X}) of {length} bytes")
        values[element] = bytes(raw[offset : offset + length])
        offset += length
    if _COMMAND_FIELD not in values:
        raise ProtocolError("a command set has no Command Field (0000,0100)")
    return Command(
        field=_number(values, _COMMAND_FIELD, 0),
        message_id=_number(values, _MESSAGE_ID, 0),
        responded_id=_number(values, _RESPONDED_ID, 0),
        affected_sop_class=_text(values, _AFFECTED_CLASS) or _text(values, _REQUESTED_CLASS),
        affected_sop_instance=_text(values, _AFFECTED_INSTANCE)
        or _text(values, _REQUESTED_INSTANCE),
        data_set_type=_number(values, _DATA_SET_TYPE, NO_DATA_SET),
        status=_number(values, _STATUS, 0),
        comment=_text(values, _COMMENT),
        move_destination=_text(values, _MOVE_DESTINATION),
        event_type=_number(values, _EVENT_TYPE, 0),
        action_type=_number(values, _ACTION_TYPE, 0),
    )


@dataclass(frozen=True)
class MoveOriginator:
    """Who asked for a C-STORE by C-MOVE, and in which message of its own."""

    ae_title: str
    message_id: int


@dataclass(frozen=True)
class SubOperations:
    """Counters of a C-GET or C-MOVE response; each is written as 16 bits, and stays at their end.

    Attributes:
        remaining: None where the response has none (PS3.7 9.3.3.2: final ones).
    """

    remaining: int | None
    completed: int
    failed: int
    warning: int


def encode_store_request(
    message_id: int,
    sop_class: str,
    sop_instance: str,
    priority: int = 0,
    originator: MoveOriginator | None = None,
) -> bytes:
    """C-STORE-RQ (PS3.7 9.3.1.1)."""
    moved = b""
    if originator is not None:
        title = originator.ae_title.encode("ascii", "replace")[:16]
        title += b" " * (len(title) % 2)
        moved = _ELEMENT.pack(0, _MOVE_ORIGINATOR, len(title)) + title
        moved += _SHORT.pack(0, _MOVE_ORIGINATOR_ID, 2, originator.message_id)
    return _with_length(
        _uid(_AFFECTED_CLASS, sop_class)
        + _SHORT.pack(0, _COMMAND_FIELD, 2, C_STORE_RQ)
        + _SHORT.pack(0, _MESSAGE_ID, 2, message_id)
        + _SHORT.pack(0, _PRIORITY, 2, priority)
        + _SHORT.pack(0, _DATA_SET_TYPE, 2, HAS_DATA_SET)
        + _uid(_AFFECTED_INSTANCE, sop_instance)
        + moved
    )


def encode_echo_request(message_id: int, sop_class: str) -> bytes:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _with_length(
        _uid(_AFFECTED_CLASS, sop_class)
        + _SHORT.pack(0, _COMMAND_FIELD, 2, C_ECHO_RQ)
        + _SHORT.pack(0, _MESSAGE_ID, 2, message_id)
        + _SHORT.pack(0, _DATA_SET_TYPE, 2, NO_DATA_SET)
    )


def encode_action_request(
    message_id: int, sop_class: str, sop_instance: str, action_type: int
) -> bytes:
    """N-ACTION-RQ with action information (PS3.7 10.3.4.1)."""
    return _with_length(
        _uid(_REQUESTED_CLASS, sop_class)
        + _SHORT.pack(0, _COMMAND_FIELD, 2, N_ACTION_RQ)
        + _SHORT.pack(0, _MESSAGE_ID, 2, message_id)
        + _SHORT.pack(0, _DATA_SET_TYPE, 2, HAS_DATA_SET)
        + _uid(_REQUESTED_INSTANCE, sop_instance)
        + _SHORT.pack(0, _ACTION_TYPE, 2, action_type)
    )


def encode_event_request(
    message_id: int, sop_class: str, sop_instance: str, event_type: int
) -> bytes:
    """N-EVENT-REPORT-RQ with event information (PS3.7 10.3.1.1)."""
    return _with_length(
        _uid(_AFFECTED_CLASS, sop_class)
        + _SHORT.pack(0, _COMMAND_FIELD, 2, N_EVENT_REPORT_RQ)
        + _SHORT.pack(0, _MESSAGE_ID, 2, message_id)
        + _SHORT.pack(0, _DATA_SET_TYPE, 2, HAS_DATA_SET)
        + _uid(_AFFECTED_INSTANCE, sop_instance)
        + _SHORT.pack(0, _EVENT_TYPE, 2, event_type)
    )


def encode_response(
    request: Command,
    status: int,
    *,
    has_data_set: bool = False,
    comment: str = "",
    counters: SubOperations | None = None,
) -> bytes:
    """The response to a request, with the UIDs that the request named."""
    data_set_type = HAS_DATA_SET if has_data_set else NO_DATA_SET
    parts = [
        _uid(_AFFECTED_CLASS, request.affected_sop_class),
        _SHORT.pack(0, _COMMAND_FIELD, 2, request.field | RESPONSE_BIT),
        _SHORT.pack(0, _RESPONDED_ID, 2, request.message_id),
        _SHORT.pack(0, _DATA_SET_TYPE, 2, data_set_type),
        _SHORT.pack(0, _STATUS, 2, status),
    ]
    if comment:
        text = _comment(comment)
        text += b" " * (len(text) % 2)
        parts.append(_ELEMENT.pack(0, _COMMENT, len(text)) + text)
    if request.affected_sop_instance:
        parts.append(_uid(_AFFECTED_INSTANCE, request.affected_sop_instance))
    if counters is not None:
        parts.append(_counters(counters))
    return _with_length(b"".join(parts))


def _comment(comment: str) -> bytes:
    """As long as an LO may be (PS3.5 6.2); what is longer ends after a word, and shows it."""
    text = comment.encode("ascii", "replace")
    if len(text) <= _LONGEST_COMMENT:
        return text
    kept = text[: _LONGEST_COMMENT - 3]
    whole, space, _ = kept.rpartition(b" ")
    return (whole if space else kept).rstrip(b" ,;:(") + b"..."


def _counters(counters: SubOperations) -> bytes:
    numbers = (
        (_REMAINING, counters.remaining),
        (_COMPLETED, counters.completed),
        (_FAILED, counters.failed),
        (_WARNING, counters.warning),
    )
    return b"".join(
        _SHORT.pack(0, element, 2, min(number, 0xFFFF))
        for element, number in numbers
        if number is not None
    )


def _with_length(body: bytes) -> bytes:
    return struct.pack("<HHLL", 0, _GROUP_LENGTH, 4, len(body)) + body


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    value += b"\0" * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(value)) + value


def _number(values: dict[int, bytes], element: int, default: int) -> int:
    raw = values.get(element)
    if raw is None:
        return default
    if len(raw) != 2:
        raise ProtocolError(f"(0000,{element:04X}) of a command set has {len(raw)} bytes")
    return int.from_bytes(raw, "little")


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").decode("ascii", "replace").strip(" \0")
