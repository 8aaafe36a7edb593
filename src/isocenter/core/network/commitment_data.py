"""Data sets of Storage Commitment (PS3.4 J.3): which instances, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from isocenter.core.errors import DataSetError

from .identifiers import Element, Identifier, decode_identifier, encode_identifier

#: The one SOP instance of the service (PS3.4 J.3.5).
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
ACTION_REQUEST = 1  # Request Storage Commitment
EVENT_ALL, EVENT_FAILURES = 1, 2
MAX_REFERENCES = 50_000
_MAX_BYTES = 16 << 20
_MAX_ELEMENTS = 6 * MAX_REFERENCES
_TRANSACTION_UID = 0x00081195
_FAILURE_REASON = 0x00081197
_FAILED_SEQUENCE = 0x00081198
_REFERENCED_SEQUENCE = 0x00081199
_CLASS_UID, _INSTANCE_UID = 0x00081150, 0x00081155
_MAX_UID = 64


@dataclass(frozen=True)
class Reference:
    """An instance that is asked about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentRequest:
    """What a peer shall keep, or we."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class CommitmentResult:
    """What is kept, and what is not.

    Attributes:
        failed: reasons (PS3.3 C.14.1.1: Failure Reason) by instance.
    """

    transaction_uid: str
    committed: tuple[Reference, ...] = ()
    failed: Mapping[Reference, int] = field(default_factory=dict)

    @property
    def event_type(self) -> int:
        """1: everything is kept; 2: something is not (PS3.4 table J.3-2)."""
        return EVENT_FAILURES if self.failed else EVENT_ALL


def encode_request(request: CommitmentRequest, transfer_syntax: str) -> bytes:
    """Action information of N-ACTION (PS3.4 table J.3-1)."""
    return encode_identifier(
        [
            Element(_TRANSACTION_UID, "UI", (request.transaction_uid,)),
            Element(_REFERENCED_SEQUENCE, "SQ", tuple(map(_item, request.references))),
        ],
        transfer_syntax,
    )


def decode_request(raw: bytes, transfer_syntax: str) -> CommitmentRequest:
    """
    Raises:
        DataSetError, BoundsError: it cannot be read, names nothing, or too much.
    """
    content = _decoded(raw, transfer_syntax)
    references = tuple(dict.fromkeys(_references(content, _REFERENCED_SEQUENCE)))
    if not references:
        raise DataSetError("a request for storage commitment names no instance")
    return CommitmentRequest(_transaction(content), references)


def encode_result(result: CommitmentResult, transfer_syntax: str) -> bytes:
    """Event information of N-EVENT-REPORT (PS3.4 table J.3-2)."""
    elements = [Element(_TRANSACTION_UID, "UI", (result.transaction_uid,))]
    if result.failed:
        failed = tuple(
            (*_item(reference), Element(_FAILURE_REASON, "US", (reason,)))
            for reference, reason in result.failed.items()
        )
        elements.append(Element(_FAILED_SEQUENCE, "SQ", failed))
    if result.committed:
        kept = tuple(map(_item, result.committed))
        elements.append(Element(_REFERENCED_SEQUENCE, "SQ", kept))
    return encode_identifier(elements, transfer_syntax)


def decode_result(raw: bytes, transfer_syntax: str) -> CommitmentResult:
    """
    Raises:
        DataSetError, BoundsError: it cannot be read.
    """
    content = _decoded(raw, transfer_syntax)
    failed: dict[Reference, int] = {}
    for item in content.sequences.get(_FAILED_SEQUENCE, ()):
        text = item.texts.get(_FAILURE_REASON, "")
        failed[_reference(item)] = int(text) if text.isdecimal() else 0x0110
    kept = dict.fromkeys(_references(content, _REFERENCED_SEQUENCE))
    # What stands in both is not kept.
    committed = tuple(reference for reference in kept if reference not in failed)
    return CommitmentResult(_transaction(content), committed, failed)


def _decoded(raw: bytes, transfer_syntax: str) -> Identifier:
    return decode_identifier(raw, transfer_syntax, max_bytes=_MAX_BYTES, max_elements=_MAX_ELEMENTS)


def _item(reference: Reference) -> tuple[Element, Element]:
    return (
        Element(_CLASS_UID, "UI", (reference.sop_class_uid,)),
        Element(_INSTANCE_UID, "UI", (reference.sop_instance_uid,)),
    )


def _transaction(content: Identifier) -> str:
    return _uid(content.texts.get(_TRANSACTION_UID, ""), "Transaction UID (0008,1195)")


def _references(content: Identifier, tag: int) -> Iterable[Reference]:
    items = content.sequences.get(tag, ())
    if len(items) > MAX_REFERENCES:
        raise DataSetError(f"a storage commitment names more than {MAX_REFERENCES} instances")
    return [_reference(item) for item in items]


def _reference(item: Identifier) -> Reference:
    return Reference(
        _uid(item.texts.get(_CLASS_UID, ""), "Referenced SOP Class UID (0008,1150)"),
        _uid(item.texts.get(_INSTANCE_UID, ""), "Referenced SOP Instance UID (0008,1155)"),
    )


def _uid(text: str, what: str) -> str:
    if not text or len(text) > _MAX_UID or not set(text) <= set("0123456789."):
        raise DataSetError(f"{what} is missing or no UID")
    return text
