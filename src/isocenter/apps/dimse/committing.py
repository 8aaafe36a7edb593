"""Storage Commitment over the archive: who may ask, and whose results count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error as DatabaseError

from isocenter.apps.accounts.rights import DimseRight, require_dimse
from isocenter.apps.dimse import promises, requests
from isocenter.apps.dimse.answering import who_calls
from isocenter.apps.dimse.database import asked, borrowed
from isocenter.apps.transfers.queries import Caller
from isocenter.core.errors import IsocenterError, NotAllowed, NotFound
from isocenter.core.network.command import (
    INVALID_ARGUMENT,
    NOT_AUTHORISED,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
)
from isocenter.core.network.commitment import CommitmentRefused, Promise
from isocenter.core.network.commitment_data import CommitmentRequest, CommitmentResult
from isocenter.core.network.services import AssociationInfo

log = structlog.get_logger("dimse")


class ArchiveKeeper:
    """A `CommitmentProvider`."""

    def admit(self, info: AssociationInfo, *, is_result: bool) -> None:
        """Whether this caller may ask, or may have been asked."""
        with _refusing():
            asked(lambda: _admitted(info, is_result=is_result))

    def accept(self, info: AssociationInfo, request: CommitmentRequest) -> Promise:
        """Take a request of a node that may ask."""
        with _refusing():
            who = asked(lambda: _admitted(info, is_result=False))
            with borrowed():
                return promises.promise(str(who.node_name), request)

    def take_result(self, info: AssociationInfo, result: CommitmentResult) -> None:
        """Note a result of the node that we asked."""
        with _refusing():
            who = asked(lambda: _admitted(info, is_result=True))
            with borrowed():
                requests.take_result(who.node_names, result)

    def prepare(self) -> None:
        """All is there."""

    def close(self) -> None:
        """The association has ended; it holds nothing."""


def _admitted(info: AssociationInfo, *, is_result: bool) -> Caller:
    who = who_calls(info)
    if not is_result:
        require_dimse(who, DimseRight.COMMIT)
    elif who.node_name is None:
        raise NotAllowed("AE title and address are no node that was asked")
    return who


@contextmanager
def _refusing() -> Iterator[None]:
    """Every failure inside becomes a status (PS3.7 annex C)."""
    try:
        yield
    except CommitmentRefused:
        raise
    except NotAllowed as error:
        raise CommitmentRefused(NOT_AUTHORISED, str(error)) from None
    except NotFound as error:
        raise CommitmentRefused(INVALID_ARGUMENT, str(error)) from None
    except DatabaseError as error:
        log.warning("database does not answer a peer", error=type(error).__name__)
        text = "the database does not answer; ask again later"
        raise CommitmentRefused(RESOURCE_LIMITATION, text) from None
    except IsocenterError as error:
        raise CommitmentRefused(PROCESSING_FAILURE, str(error)) from None
