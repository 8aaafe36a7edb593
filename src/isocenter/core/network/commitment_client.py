"""Storage Commitment Push Model (PS3.4 annex J) on associations that we ask for."""

from __future__ import annotations

import time

from isocenter.core.errors import DicomError, NetworkError, NetworkTimeout, ProtocolError

from .client import ClientAssociation, Peer
from .command import (
    INVALID_ARGUMENT,
    N_ACTION_RSP,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
    SUCCESS,
    Command,
    encode_action_request,
    encode_event_request,
    encode_response,
)
from .commitment import MAX_DATA_SET_BYTES
from .commitment_data import (
    ACTION_REQUEST,
    WELL_KNOWN_INSTANCE,
    CommitmentRequest,
    CommitmentResult,
    decode_result,
    encode_request,
    encode_result,
)
from .messages import Message, encode_message
from .pdu import ProposedContext
from .proposals import UNCOMPRESSED
from .sop_classes import STORAGE_COMMITMENT

_CONTEXT, _MESSAGE_ID = 1, 1
_MAX_STRAY = 16


class CommitmentNotTaken(NetworkError):
    """The peer does not offer Storage Commitment, or refused the request.

    Attributes:
        status: of the N-ACTION response; None where the service is not offered.
    """

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


def request_commitment(
    peer: Peer, request: CommitmentRequest, *, wait_s: float
) -> CommitmentResult | None:
    """Ask a peer to commit to instances (N-ACTION).

    Args:
        wait_s: how long to wait for the result on this association.

    Returns:
        the result; None when it will come later, over an association of the peer.

    Raises:
        CommitmentNotTaken: the peer will not.
        NetworkError: it cannot be reached, or breaks the protocol.
    """
    context = ProposedContext(_CONTEXT, STORAGE_COMMITMENT, UNCOMPRESSED[::-1])
    with ClientAssociation(peer, [context]) as association:
        syntax = association.accepted.get(_CONTEXT)
        if syntax is None:
            raise CommitmentNotTaken(f"{peer} does not offer Storage Commitment", None)
        command = encode_action_request(
            _MESSAGE_ID, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, ACTION_REQUEST
        )
        content = encode_request(request, syntax)
        association.send(*encode_message(_CONTEXT, command, content, max_pdu=association.max_pdu))
        return _Answers(association, request, syntax).wait(wait_s)


class _Answers:
    """What comes after N-ACTION: its response and the result, in either order."""

    def __init__(
        self, association: ClientAssociation, request: CommitmentRequest, syntax: str
    ) -> None:
        self._association = association
        self._request = request
        self._syntax = syntax
        self._result: CommitmentResult | None = None
        self._is_taken = False

    def wait(self, wait_s: float) -> CommitmentResult | None:
        peer = self._association.peer
        deadline = time.monotonic() + peer.timeout_s
        for _ in range(_MAX_STRAY):
            if self._is_taken and self._result is not None:
                return self._result
            left = deadline - time.monotonic()
            try:
                message = self._association.next_message(max(left, 0.01))
            except NetworkTimeout:
                if self._is_taken:
                    return None
                raise NetworkTimeout(f"{peer} did not answer a request to commit") from None
            if message is None:  # it wants to end: the rest comes over another association
                if self._is_taken:
                    return self._result
                raise NetworkError(f"{peer} asked for release instead of answering")
            was_taken = self._is_taken
            self._look(message)
            if self._is_taken and not was_taken:
                deadline = time.monotonic() + wait_s
        raise ProtocolError(f"{peer} sends messages that have nothing to do with our request")

    def _look(self, message: Message) -> None:
        command = message.command
        if command.field == N_ACTION_RSP and command.responded_id == _MESSAGE_ID:
            message.drain()
            _require_success(self._association.peer, command)
            self._is_taken = True
        elif command.field == N_EVENT_REPORT_RQ:
            self._event(message)
        else:
            message.drain()
            raise ProtocolError(f"a message {command.field:04X}H came while a commitment waited")

    def _event(self, message: Message) -> None:
        raw = message.read(MAX_DATA_SET_BYTES) if message.command.has_data_set else b""
        status = SUCCESS
        try:
            result = decode_result(raw, self._syntax)
            if result.transaction_uid == self._request.transaction_uid:
                self._result = result
            else:
                status = INVALID_ARGUMENT
        except DicomError:
            status = INVALID_ARGUMENT
        answer = encode_response(message.command, status)
        limit = self._association.max_pdu
        self._association.send(*encode_message(message.context_id, answer, max_pdu=limit))


def report_result(peer: Peer, result: CommitmentResult) -> None:
    """Tell a peer what we keep (N-EVENT-REPORT), over an association of ours (PS3.4 J.3.3).

    Raises:
        CommitmentNotTaken: the peer does not want it.
        NetworkError: it cannot be reached, or breaks the protocol.
    """
    context = ProposedContext(_CONTEXT, STORAGE_COMMITMENT, UNCOMPRESSED[::-1])
    roles = {STORAGE_COMMITMENT: (False, True)}
    with ClientAssociation(peer, [context], roles=roles) as association:
        syntax = association.accepted.get(_CONTEXT)
        if syntax is None:
            raise CommitmentNotTaken(f"{peer} takes no results of Storage Commitment", None)
        command = encode_event_request(
            _MESSAGE_ID, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, result.event_type
        )
        content = encode_result(result, syntax)
        association.send(*encode_message(_CONTEXT, command, content, max_pdu=association.max_pdu))
        answer = association.response(_MESSAGE_ID, N_EVENT_REPORT_RSP)
        _require_success(peer, answer)


def _require_success(peer: Peer, answer: Command) -> None:
    if answer.status != SUCCESS:
        said = f": {answer.comment}" if answer.comment else ""
        raise CommitmentNotTaken(
            f"{peer} refused Storage Commitment with status {answer.status:04X}H{said}",
            answer.status,
        )
