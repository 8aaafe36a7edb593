"""The archive for the receiver, from the first peer that may ask for it.

The receiver takes instances without a database and without Django, and has neither in memory
until a peer proposes a query, a retrieval or a commitment. Then Django is set up in a thread
beside the associations; who asks waits for it. While the database is away, who asks is told so,
and C-STORE goes on.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from isocenter.core.errors import IsocenterError
from isocenter.core.network.command import OUT_OF_RESOURCES
from isocenter.core.network.find import Findings
from isocenter.core.network.query_model import Query, QueryRefused, Retrieval
from isocenter.core.network.retrieval import Destination, Selection
from isocenter.core.network.services import AssociationInfo
from isocenter.runtime.settings import Settings

if TYPE_CHECKING:
    from isocenter.apps.dimse.services import ArchiveFinder, ArchiveRetriever

log = structlog.get_logger("receiver")

_WAIT_S = 25.0  # peers wait 30 s and more for an answer
_AGAIN_S = 1.0


class ArchiveBoot:
    """Sets Django up once, in a thread of its own, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tried_at = 0.0
        self._is_ready = threading.Event()
        self._error = ""

    @property
    def is_ready(self) -> bool:
        return self._is_ready.is_set()

    def prepare(self) -> None:
        """Begin, where it has not begun; returns at once."""
        with self._lock:
            is_at_work = self._thread is not None and self._thread.is_alive()
            is_early = time.monotonic() - self._tried_at < _AGAIN_S and bool(self._error)
            if self.is_ready or is_at_work or is_early:
                return
            self._error = ""
            self._tried_at = time.monotonic()
            self._thread = threading.Thread(target=self._boot, name="archive-boot", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until it is done.

        Raises:
            QueryRefused: there is no database now, or it takes too long.
        """
        deadline = time.monotonic() + _WAIT_S
        self.prepare()
        while not self._is_ready.wait(0.05):
            if self._error:
                raise QueryRefused(OUT_OF_RESOURCES, "the database does not answer; ask later")
            if time.monotonic() > deadline:
                raise QueryRefused(OUT_OF_RESOURCES, "the archive is starting; ask again")

    def _boot(self) -> None:
        from django.conf import settings as configured

        from isocenter.runtime.boot import boot_with, database_url

        try:
            if not configured.configured:
                boot_with(self._settings, database_url(self._settings))
            from isocenter.apps.dimse.services import warm_up

            warm_up()
        except IsocenterError as error:
            self._error = str(error)
            log.warning("no archive for queries yet", error=str(error))
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"
            log.exception("the archive cannot be set up for queries")
        else:
            self._is_ready.set()
            log.info(
                "archive ready for queries", took_s=round(time.monotonic() - self._tried_at, 2)
            )


class LazyArchive:
    """Provider of queries and retrievals that waits for `ArchiveBoot` where it has to."""

    def __init__(self, boot: ArchiveBoot) -> None:
        self._boot = boot

    def prepare(self) -> None:
        """A peer may ask soon; returns at once."""
        self._boot.prepare()

    def find(self, query: Query, caller: AssociationInfo) -> Findings:
        """Answer a C-FIND."""
        return self._finder().find(query, caller)

    def select(self, retrieval: Retrieval, caller: AssociationInfo) -> Selection:
        """Find what a C-GET or C-MOVE is for."""
        return self._retriever().select(retrieval, caller)

    def preferred_syntax(self, sop_class: str) -> str:
        """What most instances of a class are stored in, where the archive is there already."""
        return self._retriever().preferred_syntax(sop_class) if self._boot.is_ready else ""

    def destination(self, ae_title: str, caller: AssociationInfo) -> Destination | None:
        """The node that a C-MOVE names."""
        return self._retriever().destination(ae_title, caller)

    def close(self) -> None:
        """The association of this thread has ended."""
        if self._boot.is_ready:
            self._finder().close()

    def _finder(self) -> ArchiveFinder:
        self._boot.wait()
        from isocenter.apps.dimse.services import ArchiveFinder

        return ArchiveFinder()

    def _retriever(self) -> ArchiveRetriever:
        self._boot.wait()
        from isocenter.apps.dimse.services import ArchiveRetriever

        return ArchiveRetriever()
