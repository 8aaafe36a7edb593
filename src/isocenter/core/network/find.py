"""Query service class (PS3.4 annex C.4.1) as acceptor: C-FIND over a provider."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from isocenter.core.errors import DicomError

from .answers import AnswerEncoder, Field, enveloped
from .command import (
    C_FIND_RQ,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    SUCCESS,
    UNRECOGNISED_OPERATION,
    encode_response,
)
from .identifiers import MAX_IDENTIFIER_BYTES, Element, Values, decode_identifier
from .messages import Message
from .query_model import (
    CANCELLED,
    PENDING,
    PENDING_UNSUPPORTED_KEYS,
    QUERY_RETRIEVE_LEVEL,
    Query,
    QueryRefused,
    read_query,
)
from .services import AssociationInfo, Channel, Session, is_known_request
from .sop_classes import FIND_CLASSES

_RETRIEVE_AE_TITLE = 0x00080054
#: In each answer, asked for or not (PS3.4 C.4.1.1.3.2): the level, and who sends what was found.
ANSWERED_BESIDES = (QUERY_RETRIEVE_LEVEL, _RETRIEVE_AE_TITLE)
_FLUSH_BYTES = 8 << 10  # the peer looks at them while more are found
_FLUSH_S = 0.1  # an answer waits no longer for others


@dataclass(frozen=True)
class Findings:
    """Matches as they are found.

    Attributes:
        fields: what each has; without level, character set, retrieve AE title.
        answers: values of the fields, in their order.
        is_partial: a key of the query was not looked at (status FF01).
    """

    fields: Sequence[Field]
    answers: Iterator[Sequence[Values]]
    is_partial: bool = False


class FindProvider(Protocol):
    """Who knows what is there."""

    def find(self, query: Query, caller: AssociationInfo) -> Findings:
        """Answer a query; nothing is held between two answers.

        Raises (here, or while answers are taken):
            QueryRefused: with the status that the peer gets.
        """
        ...

    def prepare(self) -> None:
        """A peer may ask soon; returns at once."""
        ...

    def close(self) -> None:
        """The association of this thread has ended."""
        ...


class FindService:
    """C-FIND of the patient root and study root models."""

    def __init__(self, provider: FindProvider) -> None:
        self._provider = provider

    def supports(self, abstract_syntax: str) -> bool:
        return abstract_syntax in FIND_CLASSES

    def open(self, info: AssociationInfo) -> Session:
        self._provider.prepare()
        return _FindSession(self._provider, info)


class _FindSession:
    def __init__(self, provider: FindProvider, info: AssociationInfo) -> None:
        self._provider = provider
        self._info = info

    def handle(self, message: Message, channel: Channel) -> None:
        if not is_known_request(message.command, C_FIND_RQ):
            channel.respond(message, UNRECOGNISED_OPERATION)
            return
        began = time.monotonic()
        status, comment, text = SUCCESS, "", ""
        count = 0
        query: Query | None = None
        try:
            query = self._read(message)
            count, status = self._answer(query, message, channel)
            comment = "the receiver is stopping" if status == OUT_OF_RESOURCES else ""
        except QueryRefused as error:
            status, comment = error.status, str(error)
        except DicomError as error:
            status, comment = CANNOT_UNDERSTAND, str(error)
        text = comment[:300]
        channel.respond(message, status, comment=comment)
        channel.emit(
            "QUERY",
            service="C-FIND",
            status=f"{status:04X}",
            answers=count,
            took_ms=round(1000 * (time.monotonic() - began)),
            **_what(query),
            **({"text": text} if text else {}),
        )

    def close(self) -> None:
        self._provider.close()

    def _read(self, message: Message) -> Query:
        command = message.command
        context = self._info.contexts[message.context_id]
        if command.affected_sop_class != context.abstract_syntax:
            raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "SOP class is not that of the context")
        if not command.has_data_set:
            raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "no identifier")
        raw = message.read(MAX_IDENTIFIER_BYTES)
        identifier = decode_identifier(raw, context.transfer_syntax)
        agreed = self._info.extended.get(context.abstract_syntax, b"")
        return read_query(context.abstract_syntax, identifier, agreed)

    def _answer(self, query: Query, message: Message, channel: Channel) -> tuple[int, int]:
        """Send what is found; how many, and the status of the end."""
        findings = self._provider.find(query, self._info)
        syntax = self._info.contexts[message.context_id].transfer_syntax
        status = PENDING_UNSUPPORTED_KEYS if findings.is_partial else PENDING
        command = encode_response(message.command, status, has_data_set=True)
        values = ("CS", str(query.level)), ("AE", self._info.retrieve_ae_title)
        own = tuple(
            Element(tag, vr, (value,))
            for tag, (vr, value) in zip(ANSWERED_BESIDES, values, strict=True)
        )
        encoder = AnswerEncoder(findings.fields, own, syntax, query.identifier.character_set)
        message_of = enveloped(message.context_id, command, channel.max_pdu)
        waiting = _Waiting(channel)
        count = 0
        try:
            for answer in findings.answers:
                if channel.is_stopping:
                    return count, OUT_OF_RESOURCES
                waiting.add(message_of(encoder.encode(answer)))
                count += 1
                if waiting.flush_if_due() and channel.is_cancelled(message):
                    return count, CANCELLED
            waiting.flush()
            is_cancelled = channel.is_cancelled(message)
        finally:
            waiting.flush()
        return count, CANCELLED if is_cancelled else SUCCESS


class _Waiting:
    """Answers that go out together."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._messages: list[bytes] = []
        self._size = 0
        self._flushed_at = 0.0  # the first answer goes out at once

    def add(self, message: bytes) -> None:
        self._messages.append(message)
        self._size += len(message)

    def flush_if_due(self) -> bool:
        """Send when it is enough, or has waited; True when it was sent."""
        if self._size < _FLUSH_BYTES and time.monotonic() - self._flushed_at < _FLUSH_S:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Send what there is."""
        messages, self._messages, self._size = self._messages, [], 0
        self._flushed_at = time.monotonic()
        if messages:
            self._channel.send(b"".join(messages))


def _what(query: Query | None) -> dict[str, str]:
    """What the audit may know of a query: names of keys that had a value, never values."""
    if query is None:
        return {}
    asked = [tag for tag, text in query.identifier.texts.items() if text]
    asked += [tag for tag, items in query.identifier.sequences.items() if items]
    names = [f"{tag:08X}" for tag in sorted(asked) if tag != QUERY_RETRIEVE_LEVEL]
    return {"level": str(query.level), "keys": ",".join(names[:60])}
