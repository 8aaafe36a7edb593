"""C-STORE and C-ECHO as requestor: bytes verbatim from file to socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from isocenter.core.errors import DicomError, NetworkError

from .client import ClientAssociation, Peer
from .command import C_ECHO_RSP, SUCCESS, MoveOriginator, encode_echo_request
from .messages import encode_message
from .outcomes import ItemResult, OnResult, Outcome, SendReport, not_sent, reporting
from .pdu import ProposedContext
from .proposals import UNCOMPRESSED, SendItem, plan, read_item
from .sharing import MAX_ASSOCIATIONS, carry, useful_associations
from .sop_classes import VERIFICATION

__all__ = [
    "MAX_ASSOCIATIONS",
    "ItemResult",
    "Outcome",
    "Peer",
    "SendItem",
    "SendReport",
    "echo",
    "read_item",
    "send",
    "useful_associations",
]


def echo(peer: Peer) -> float:
    """C-ECHO; returns the seconds that connection, association and answer took.

    Raises:
        NetworkError: it does not answer, rejects us, or offers no verification.
    """
    began = time.perf_counter()
    context = ProposedContext(1, VERIFICATION, UNCOMPRESSED[::-1])
    with ClientAssociation(peer, [context]) as association:
        if 1 not in association.accepted:
            raise NetworkError(f"{peer} does not accept the Verification SOP class")
        request = encode_echo_request(1, VERIFICATION)
        association.send(*encode_message(1, request, max_pdu=association.max_pdu))
        answer = association.response(1, C_ECHO_RSP)
        if answer.status != SUCCESS:
            raise NetworkError(f"{peer} answered C-ECHO with status {answer.status:04X}H")
        seconds = time.perf_counter() - began
    return seconds


def send(
    files: Iterable[SendItem | Path],
    peer: Peer,
    *,
    associations: int = 1,
    on_result: OnResult | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
    originator: MoveOriginator | None = None,
) -> SendReport:
    """Store files at a peer.

    Instances go in their own transfer syntax; only where the peer does not accept that they are
    decompressed to one that it does, and the result's note says so. Above 128 presentation
    contexts one batch follows the other.

    Several associations share a batch when it is big enough; see :mod:`.sharing`. With one,
    instances go in order. An association that the peer breaks leaves the instance that it was
    sending as not sent, and the report's error says why; the others carry the rest. Where no
    other is left, the rest is not sent.

    Args:
        files: paths, or items whose header was read already.
        associations: how many at once, at most; 1 to 8.
        on_result: called for each file when its outcome is known, always in this thread.
        is_cancelled: asked before each instance, in any thread.
        originator: who asked for this by C-MOVE (PS3.7 9.1.1.1); the peer is told.
    """
    if not 1 <= associations <= MAX_ASSOCIATIONS:
        raise ValueError(f"{associations} associations; 1 to {MAX_ASSOCIATIONS} are possible")
    began = time.perf_counter()
    report, tell = reporting(on_result)
    waiting = plan(_readable(files, tell))
    while waiting:
        carried = carry(
            waiting.pop(0),
            peer,
            associations=associations,
            tell=tell,
            is_cancelled=is_cancelled,
            originator=originator,
        )
        report.associations += carried.associations
        report.bytes_sent += carried.bytes_sent
        report.error = report.error or carried.error
        if not carried.has_peer:
            for item in (item for batch in waiting for item in batch.items):
                tell(not_sent(item, carried.error))
            break
    report.seconds = time.perf_counter() - began
    return report


def _readable(files: Iterable[SendItem | Path], tell: OnResult) -> list[SendItem]:
    items = []
    for file in files:
        if isinstance(file, SendItem):
            items.append(file)
            continue
        try:
            items.append(read_item(file))
        except DicomError as error:
            tell(ItemResult(file, Outcome.FAILED, None, str(error)))
    return items
