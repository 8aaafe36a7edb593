"""Storage Commitment Push Model (PS3.4 annex J) on associations that peers ask for.

Both ways meet here: peers ask us to commit (N-ACTION; we are the SCP), and peers tell us what
they keep of what we sent (N-EVENT-REPORT; we are the SCU, on an association of the SCP).
"""

from __future__ import annotations

import time
from typing import Protocol

from isocenter.core.errors import DicomError, IsocenterError

from .command import (
    INVALID_ARGUMENT,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
    NO_SUCH_ACTION,
    NO_SUCH_EVENT,
    NO_SUCH_INSTANCE,
    SUCCESS,
    UNRECOGNISED_OPERATION,
    encode_event_request,
)
from .commitment_data import (
    ACTION_REQUEST,
    EVENT_ALL,
    EVENT_FAILURES,
    WELL_KNOWN_INSTANCE,
    CommitmentRequest,
    CommitmentResult,
    decode_request,
    decode_result,
    encode_result,
)
from .messages import Message, encode_message
from .services import AssociationInfo, Channel, Session, is_known_request
from .sop_classes import STORAGE_COMMITMENT

#: A peer that wants to go after its request has done so by then.
_GRACE_S = 0.25
_LOOK_EVERY_S = 0.1
MAX_DATA_SET_BYTES = 16 << 20


class CommitmentRefused(IsocenterError):
    """A request or a result that is answered with a failure.

    Attributes:
        status: of the DIMSE response (PS3.7 annex C).
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Promise(Protocol):
    """A request that was accepted: its peer will hear from us, whatever happens here."""

    def outcome(self) -> CommitmentResult | None:
        """What is kept; None while some of it may still come in."""
        ...

    def reported(self) -> None:
        """The peer has acknowledged the outcome."""
        ...

    def leave(self) -> None:
        """The outcome has to go over an association of ours."""
        ...


class CommitmentProvider(Protocol):
    """Who keeps instances, and knows what we asked of others."""

    def admit(self, info: AssociationInfo, *, is_result: bool) -> None:
        """Before anything is read of a request, or of a result.

        Raises:
            CommitmentRefused: not from this caller, or not now.
        """
        ...

    def accept(self, info: AssociationInfo, request: CommitmentRequest) -> Promise:
        """Take a request, durably.

        Raises:
            CommitmentRefused: not from this caller, or not now.
        """
        ...

    def take_result(self, info: AssociationInfo, result: CommitmentResult) -> None:
        """Note durably what a peer keeps.

        Raises:
            CommitmentRefused: nobody asked, or not this caller.
        """
        ...

    def prepare(self) -> None:
        """A peer may ask soon; returns at once."""
        ...

    def close(self) -> None:
        """The association of this thread has ended."""
        ...


class CommitmentService:
    """Answers N-ACTION and N-EVENT-REPORT of the push model.

    Args:
        wait_s: how long a quiet association is kept busy with waiting for its own result.
    """

    def __init__(self, provider: CommitmentProvider, *, wait_s: float = 5.0) -> None:
        self._provider = provider
        self._wait_s = wait_s

    def supports(self, abstract_syntax: str) -> bool:
        return abstract_syntax == STORAGE_COMMITMENT

    def open(self, info: AssociationInfo) -> Session:
        self._provider.prepare()
        return _CommitmentSession(info, self._provider, self._wait_s)


class _CommitmentSession:
    def __init__(self, info: AssociationInfo, provider: CommitmentProvider, wait_s: float) -> None:
        self._info = info
        self._provider = provider
        self._wait_s = wait_s
        self._message_id = 0

    def handle(self, message: Message, channel: Channel) -> None:
        try:
            if is_known_request(message.command, N_ACTION_RQ):
                self._action(message, channel)
            elif is_known_request(message.command, N_EVENT_REPORT_RQ):
                self._event(message, channel)
            else:
                channel.respond(message, UNRECOGNISED_OPERATION)
        except CommitmentRefused as error:
            channel.respond(message, error.status, comment=str(error))
            channel.emit("COMMITMENT", outcome="refused", reason=str(error)[:200])

    def close(self) -> None:
        """What is not reported yet goes over another association."""
        self._provider.close()

    def _action(self, message: Message, channel: Channel) -> None:
        _check(message, {ACTION_REQUEST}, message.command.action_type, NO_SUCH_ACTION)
        self._provider.admit(self._info, is_result=False)
        raw = message.read(MAX_DATA_SET_BYTES)
        try:
            request = decode_request(raw, self._syntax(message))
        except DicomError as error:
            raise CommitmentRefused(INVALID_ARGUMENT, str(error)) from None
        promise = self._provider.accept(self._info, request)
        channel.respond(message, SUCCESS)
        self._report(message.context_id, promise, channel)

    def _event(self, message: Message, channel: Channel) -> None:
        kinds = {EVENT_ALL, EVENT_FAILURES}
        _check(message, kinds, message.command.event_type, NO_SUCH_EVENT)
        self._provider.admit(self._info, is_result=True)
        raw = message.read(MAX_DATA_SET_BYTES)
        try:
            result = decode_result(raw, self._syntax(message))
        except DicomError as error:
            raise CommitmentRefused(INVALID_ARGUMENT, str(error)) from None
        self._provider.take_result(self._info, result)
        channel.respond(message, SUCCESS)

    def _syntax(self, message: Message) -> str:
        return self._info.contexts[message.context_id].transfer_syntax

    def _report(self, context_id: int, promise: Promise, channel: Channel) -> None:
        """Tell the outcome here where it is known soon and the peer waits for it."""
        is_reported = False
        try:
            result = self._outcome(promise, channel)
            is_reported = result is not None and self._tell(context_id, result, channel)
            if is_reported:
                promise.reported()
        finally:
            if not is_reported:
                promise.leave()

    def _outcome(self, promise: Promise, channel: Channel) -> CommitmentResult | None:
        """None when it is not known in time, or the peer goes on with something else."""
        deadline = time.monotonic() + self._wait_s
        is_first = True
        while time.monotonic() < deadline:
            time.sleep(_GRACE_S if is_first else _LOOK_EVERY_S)
            is_first = False
            if channel.is_stopping or channel.is_peer_talking():
                return None
            result = promise.outcome()
            if result is not None:
                return None if channel.is_peer_talking() else result
        return None

    def _tell(self, context_id: int, result: CommitmentResult, channel: Channel) -> bool:
        self._message_id = self._message_id % 0xFFFF + 1
        syntax = self._info.contexts[context_id].transfer_syntax
        request = encode_event_request(
            self._message_id, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, result.event_type
        )
        content = encode_result(result, syntax)
        channel.send(*encode_message(context_id, request, content, max_pdu=channel.max_pdu))
        answer = channel.response(self._message_id, N_EVENT_REPORT_RSP)
        return answer.status == SUCCESS


def _check(message: Message, known: set[int], kind: int, unknown: int) -> None:
    """The class is the context's; instance and kind must be those of the service."""
    command = message.command
    if command.affected_sop_instance != WELL_KNOWN_INSTANCE:
        raise CommitmentRefused(NO_SUCH_INSTANCE, "not the instance of Storage Commitment")
    if kind not in known:
        raise CommitmentRefused(unknown, f"{kind} is no kind that Storage Commitment has")
    if not command.has_data_set:
        raise CommitmentRefused(INVALID_ARGUMENT, "no data set")
