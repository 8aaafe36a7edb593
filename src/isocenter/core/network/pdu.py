"""Upper layer PDUs of association control (PS3.8 9.3), read with bounds and written.

What arrives is walked by our own small reader: items that nobody knows have to be passed over
(PS3.8 9.3.1), titles and UIDs that the standard does not allow have to be refused with a reason,
and every length has to be checked before anything is made of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from isocenter.core.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from isocenter.core.dicom.uids import IMPLEMENTATION_CLASS_UID
from isocenter.core.errors import ProtocolError

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
MAX_ASSOCIATE_BYTES = 512 * 1024
MAX_CONTEXTS = 128
_MAX_TRANSFER_SYNTAXES = 256
_MAX_USER_ITEMS = 1024
_MAX_UID_BYTES = 128  # twice what is allowed: odd ones are passed on, absurd ones are not

_APPLICATION_ITEM, _CONTEXT_RQ_ITEM, _CONTEXT_AC_ITEM = 0x10, 0x20, 0x21
_ABSTRACT_ITEM, _TRANSFER_ITEM, _USER_ITEM = 0x30, 0x40, 0x50
_MAX_LENGTH_ITEM, _CLASS_UID_ITEM, _ASYNC_ITEM = 0x51, 0x52, 0x53
_ROLE_ITEM, _VERSION_ITEM, _EXTENDED_ITEM, _IDENTITY_ITEM = 0x54, 0x55, 0x56, 0x58

RELEASE_RP_BYTES = struct.pack(">BBLL", RELEASE_RP, 0, 4, 0)
RELEASE_RQ_BYTES = struct.pack(">BBLL", RELEASE_RQ, 0, 4, 0)


@dataclass(frozen=True)
class ProposedContext:
    """One presentation context of an A-ASSOCIATE-RQ."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class ContextResult:
    """One presentation context of an A-ASSOCIATE-AC.

    Attributes:
        result: 0 accepted, 1 user rejection, 2 no reason, 3 abstract syntax not supported,
            4 transfer syntaxes not supported (PS3.8 table 9-18).
    """

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True)
class UserInformation:
    """The sub-items of user information that matter to us."""

    max_pdu: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_operations: tuple[int, int] | None = None
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)  # UID -> (SCU, SCP)
    has_user_identity: bool = False
    extended: dict[str, bytes] = field(default_factory=dict)  # UID -> PS3.7 D.3.3.5


@dataclass(frozen=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ; titles without their padding."""

    called_ae_title: str
    calling_ae_title: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    protocol_version: int = 1
    titles: bytes = b""  # called, calling and 32 reserved bytes as received, to send back


@dataclass(frozen=True)
class AssociateAccept:
    """A-ASSOCIATE-AC."""

    contexts: tuple[ContextResult, ...]
    user: UserInformation


def decode_associate_rq(body: bytes) -> AssociateRequest:
    """Read the body (without the six bytes of the PDU header) of an A-ASSOCIATE-RQ.

    Raises:
        ProtocolError: lengths that do not fit, or more of something than anybody needs.
    """
    version = _fixed_part(body)
    application = ""
    contexts: list[ProposedContext] = []
    user = UserInformation()
    for kind, item in _items(body[68:]):
        if kind == _APPLICATION_ITEM:
            application = _uid(item)
        elif kind == _CONTEXT_RQ_ITEM:
            contexts.append(_proposed_context(item))
            if len(contexts) > MAX_CONTEXTS:
                raise ProtocolError("more than 128 presentation contexts are proposed")
        elif kind == _USER_ITEM:
            user = _user_information(item)
    ids = [context.context_id for context in contexts]
    if len(set(ids)) != len(ids) or any(number % 2 == 0 for number in ids):
        raise ProtocolError("presentation context IDs are even or used twice")
    return AssociateRequest(
        called_ae_title=_title(body[4:20]),
        calling_ae_title=_title(body[20:36]),
        application_context=application,
        contexts=tuple(contexts),
        user=user,
        protocol_version=version,
        titles=bytes(body[4:68]),
    )


def decode_associate_ac(body: bytes) -> AssociateAccept:
    """Read the body of an A-ASSOCIATE-AC.

    Raises:
        ProtocolError: lengths that do not fit.
    """
    _fixed_part(body)
    contexts: list[ContextResult] = []
    user = UserInformation()
    for kind, item in _items(body[68:]):
        if kind == _CONTEXT_AC_ITEM:
            contexts.append(_context_result(item))
        elif kind == _USER_ITEM:
            user = _user_information(item)
    return AssociateAccept(tuple(contexts[:MAX_CONTEXTS]), user)


def encode_associate_rq(request: AssociateRequest) -> bytes:
    """A whole A-ASSOCIATE-RQ PDU."""
    titles = _padded(request.called_ae_title) + _padded(request.calling_ae_title) + bytes(32)
    contexts = b"".join(
        _item(
            _CONTEXT_RQ_ITEM,
            bytes((context.context_id, 0, 0, 0))
            + _item(_ABSTRACT_ITEM, context.abstract_syntax.encode("ascii"))
            + b"".join(
                _item(_TRANSFER_ITEM, uid.encode("ascii")) for uid in context.transfer_syntaxes
            ),
        )
        for context in request.contexts
    )
    return _associate(ASSOCIATE_RQ, titles, contexts, request.user)


def encode_associate_ac(
    titles: bytes, contexts: Sequence[ContextResult], user: UserInformation
) -> bytes:
    """A whole A-ASSOCIATE-AC PDU; ``titles`` as they came in the request (PS3.8 table 9-17)."""
    items = b"".join(
        _item(
            _CONTEXT_AC_ITEM,
            bytes((context.context_id, 0, context.result, 0))
            + _item(_TRANSFER_ITEM, context.transfer_syntax.encode("ascii")),
        )
        for context in contexts
    )
    return _associate(ASSOCIATE_AC, titles, items, user)


def encode_associate_rj(result: int, source: int, reason: int) -> bytes:
    return struct.pack(">BBLBBBB", ASSOCIATE_RJ, 0, 4, 0, result, source, reason)


def encode_abort(source: int, reason: int) -> bytes:
    """A-ABORT: source 0 service user, 2 service provider (PS3.8 table 9-26)."""
    return struct.pack(">BBLBBBB", ABORT, 0, 4, 0, 0, source, reason)


def own_user_information(
    max_pdu: int,
    *,
    asynchronous_operations: tuple[int, int] | None = None,
    roles: dict[str, tuple[bool, bool]] | None = None,
    extended: dict[str, bytes] | None = None,
) -> UserInformation:
    """What we say of ourselves."""
    return UserInformation(
        max_pdu=max_pdu,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        asynchronous_operations=asynchronous_operations,
        roles=roles or {},
        extended=extended or {},
    )


def _associate(kind: int, titles: bytes, contexts: bytes, user: UserInformation) -> bytes:
    body = (
        struct.pack(">HH", 1, 0)
        + titles
        + _item(_APPLICATION_ITEM, APPLICATION_CONTEXT.encode("ascii"))
        + contexts
        + _item(_USER_ITEM, _encode_user(user))
    )
    return struct.pack(">BBL", kind, 0, len(body)) + body


def _encode_user(user: UserInformation) -> bytes:
    parts = [
        _item(_MAX_LENGTH_ITEM, struct.pack(">L", user.max_pdu)),
        _item(_CLASS_UID_ITEM, user.implementation_class_uid.encode("ascii")),
    ]
    if user.asynchronous_operations is not None:
        parts.append(_item(_ASYNC_ITEM, struct.pack(">HH", *user.asynchronous_operations)))
    for uid, (scu, scp) in user.roles.items():
        encoded = uid.encode("ascii")
        roles = bytes((int(scu), int(scp)))
        parts.append(_item(_ROLE_ITEM, struct.pack(">H", len(encoded)) + encoded + roles))
    parts.append(_item(_VERSION_ITEM, user.implementation_version_name.encode("ascii")))
    for uid, content in user.extended.items():
        encoded = uid.encode("ascii")
        parts.append(_item(_EXTENDED_ITEM, struct.pack(">H", len(encoded)) + encoded + content))
    return b"".join(parts)


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(body):
        if len(body) - offset < 4:
            raise ProtocolError("an association item is cut off")
        kind, _, length = struct.unpack_from(">BBH", body, offset)
        offset += 4
        if length > len(body) - offset:
            raise ProtocolError(f"association item {kind:02X}H is longer than what holds it")
        yield kind, body[offset : offset + length]
        offset += length


def _fixed_part(body: bytes) -> int:
    if len(body) < 68:
        raise ProtocolError("an association PDU is shorter than its fixed part")
    version: int = struct.unpack_from(">H", body)[0]
    return version


def _proposed_context(item: bytes) -> ProposedContext:
    if len(item) < 4:
        raise ProtocolError("a presentation context item is cut off")
    abstract = ""
    transfer: list[str] = []
    for kind, sub in _items(item[4:]):
        if kind == _ABSTRACT_ITEM:
            abstract = _uid(sub)
        elif kind == _TRANSFER_ITEM:
            transfer.append(_uid(sub))
            if len(transfer) > _MAX_TRANSFER_SYNTAXES:
                raise ProtocolError("a presentation context proposes too many transfer syntaxes")
    return ProposedContext(item[0], abstract, tuple(transfer))


def _context_result(item: bytes) -> ContextResult:
    if len(item) < 4:
        raise ProtocolError("a presentation context item is cut off")
    transfer = ""
    if item[2] == 0:  # with any other result the transfer syntax means nothing
        for kind, sub in _items(item[4:]):
            if kind == _TRANSFER_ITEM:
                transfer = _uid(sub)
    return ContextResult(item[0], item[2], transfer)


def _user_information(item: bytes) -> UserInformation:
    values: dict[int, bytes] = {}
    roles: dict[str, tuple[bool, bool]] = {}
    extended: dict[str, bytes] = {}
    for count, (kind, sub) in enumerate(_items(item)):
        if count >= _MAX_USER_ITEMS:
            raise ProtocolError("too many user information items")
        if kind == _ROLE_ITEM:
            uid, scu, scp = _role(sub)
            roles[uid] = (scu, scp)
        elif kind == _EXTENDED_ITEM:
            uid, content = _extended(sub)
            extended[uid] = content
        else:
            values[kind] = sub
    window = values.get(_ASYNC_ITEM)
    length = values.get(_MAX_LENGTH_ITEM, bytes(4))
    if len(length) != 4 or (window is not None and len(window) != 4):
        raise ProtocolError("a user information item has a wrong length")
    return UserInformation(
        max_pdu=struct.unpack(">L", length)[0],
        implementation_class_uid=_text(values.get(_CLASS_UID_ITEM, b"")),
        implementation_version_name=_text(values.get(_VERSION_ITEM, b"")),
        asynchronous_operations=None if window is None else struct.unpack(">HH", window),
        roles=roles,
        has_user_identity=_IDENTITY_ITEM in values,
        extended=extended,
    )


def _role(item: bytes) -> tuple[str, bool, bool]:
    if len(item) < 4:
        raise ProtocolError("a role selection item is cut off")
    length: int = struct.unpack_from(">H", item)[0]
    if len(item) < length + 4:
        raise ProtocolError("a role selection item is cut off")
    return _uid(item[2 : 2 + length]), bool(item[2 + length]), bool(item[3 + length])


def _extended(item: bytes) -> tuple[str, bytes]:
    if len(item) < 2:
        raise ProtocolError("an extended negotiation item is cut off")
    length: int = struct.unpack_from(">H", item)[0]
    if len(item) < length + 2:
        raise ProtocolError("an extended negotiation item is cut off")
    return _uid(item[2 : 2 + length]), item[2 + length :]


def _uid(raw: bytes) -> str:
    """A UID as sent; some pad with NUL or space as in a data set (PS3.8 F.1 says not to)."""
    if len(raw) > _MAX_UID_BYTES:
        raise ProtocolError(f"a UID of {len(raw)} bytes is proposed")
    text = raw.rstrip(b"\0 ")
    if not text.isascii():
        raise ProtocolError("a UID with characters that are not ASCII is proposed")
    return text.decode("ascii")


def _title(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")


def _text(raw: bytes) -> str:
    return raw[:_MAX_UID_BYTES].decode("ascii", "replace").strip(" \0")


def _padded(title: str) -> bytes:
    return title.encode("ascii", "replace")[:16].ljust(16)
