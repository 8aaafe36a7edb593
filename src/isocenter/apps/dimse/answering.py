"""Who may ask, and failures as statuses: the edge between a DIMSE request and the archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error as DatabaseError

from isocenter.apps.accounts.rights import DimseRight, require_dimse
from isocenter.apps.archive.queries import IndexNotReady, QuestionError
from isocenter.apps.transfers.queries import Caller, caller
from isocenter.core.errors import IsocenterError, NotAllowed
from isocenter.core.network.command import DATA_SET_DOES_NOT_MATCH, OUT_OF_RESOURCES
from isocenter.core.network.query_model import NOT_AUTHORISED, UNABLE_TO_PROCESS, QueryRefused
from isocenter.core.network.services import AssociationInfo

log = structlog.get_logger("dimse")


@contextmanager
def answering() -> Iterator[None]:
    """Every failure inside becomes a `QueryRefused`; nothing of the question goes to the log."""
    try:
        yield
    except QueryRefused:
        raise
    except NotAllowed as error:
        raise QueryRefused(NOT_AUTHORISED, str(error)) from None
    except QuestionError as error:
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, str(error)) from None
    except IndexNotReady as error:
        raise QueryRefused(OUT_OF_RESOURCES, str(error)) from None
    except DatabaseError as error:
        log.warning("database does not answer a peer", error=type(error).__name__)
        raise QueryRefused(
            OUT_OF_RESOURCES, "the database does not answer; ask again later"
        ) from None
    except IsocenterError as error:
        raise QueryRefused(UNABLE_TO_PROCESS, str(error)) from None
    except Exception as error:
        log.error("a request of a peer failed", error=type(error).__name__)
        raise QueryRefused(UNABLE_TO_PROCESS, "internal error; see the log of Isocenter") from None


def require(info: AssociationInfo, right: DimseRight) -> None:
    """Before anything is looked up for a caller.

    Raises:
        NotAllowed: it is no node of ours with this right.
    """
    require_dimse(who_calls(info), right)


def who_calls(info: AssociationInfo) -> Caller:
    """The node behind an association, if it is one of ours."""
    return caller(
        info.calling_ae_title,
        info.called_ae_title,
        info.address,
        is_encrypted=info.is_encrypted,
        has_certificate=info.has_certificate,
    )
