"""Retrieve by C-MOVE (PS3.4 annex C.4.2) as acceptor: instances go to a node that we know.

Our own requestor sends them, over several associations where that helps, in a thread of its own:
the peer that asked hears of us all the while, and may cancel at any time.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator

from isocenter.core.errors import DicomError, IsocenterError, NetworkError

from .command import C_MOVE_RQ, MoveOriginator
from .messages import Message
from .outcomes import ItemResult
from .proposals import SendItem
from .query_model import DESTINATION_UNKNOWN, QueryRefused
from .requestor import send
from .retrieval import Destination, MoveProvider, Progress, RetrieveSession, StoredFile, Way
from .services import AssociationInfo, Channel, Session
from .sop_classes import MOVE_CLASSES

_GROUP = 5000  # instances that are held at once; each group is sent over new associations
_BEAT_S = 0.2


class MoveService:
    """C-MOVE of the patient root and study root models."""

    def __init__(self, provider: MoveProvider) -> None:
        self._provider = provider

    def supports(self, abstract_syntax: str) -> bool:
        return abstract_syntax in MOVE_CLASSES

    def open(self, info: AssociationInfo) -> Session:
        self._provider.prepare()

        def way(message: Message, channel: Channel) -> Way:
            destination = self._destination(message.command.move_destination, info)
            originator = MoveOriginator(info.calling_ae_title, message.command.message_id)
            return lambda files, progress: _Errand(destination, originator, progress).run(files)

        return RetrieveSession(self._provider, info, C_MOVE_RQ, way)

    def _destination(self, title: str, caller: AssociationInfo) -> Destination:
        if not title:
            raise QueryRefused(DESTINATION_UNKNOWN, "Move Destination (0000,0600) is missing")
        found = self._provider.destination(title, caller)
        if found is None:
            raise QueryRefused(DESTINATION_UNKNOWN, "the move destination is no node known here")
        return found


class _Errand:
    """All sub-operations of one request."""

    def __init__(
        self, destination: Destination, originator: MoveOriginator, progress: Progress
    ) -> None:
        self._destination = destination
        self._originator = originator
        self._progress = progress
        self._tally = progress.tally

    def run(self, files: Iterator[StoredFile]) -> None:
        """Send until all are sent, or somebody wants to end."""
        while group := list(itertools.islice(files, _GROUP)):
            items = self._items(group)
            if items is None:
                return
            sending = _Sending(items, self._destination, self._originator)
            sending.start()
            try:
                if not self._follow(sending):
                    return
            finally:
                sending.stop()
            if sending.is_peer_gone:
                for file in files:
                    self._tally.fail(file.sop_instance_uid, sending.reason)
                return

    def _items(self, group: list[StoredFile]) -> list[SendItem] | None:
        """Those that can be read; None when somebody wants to end."""
        items = []
        for file in group:
            if not self._progress.may_go_on():
                return None
            try:
                items.append(file.item())
            except DicomError as error:
                self._tally.fail(file.sop_instance_uid, str(error))
        return items

    def _follow(self, sending: _Sending) -> bool:
        """Count results until all are there; False when somebody wanted to end."""
        is_wanted = True
        while True:
            try:
                result = sending.results.get(timeout=_BEAT_S)
            except queue.Empty:
                result = None
            else:
                if result is None:
                    return is_wanted
                if is_wanted or result.status is not None:  # what was stopped has not failed
                    self._tally.note(result)
            if is_wanted and not self._progress.may_go_on():
                is_wanted = False
                sending.stop()


class _Sending(threading.Thread):
    """The requestor at work; ``results`` ends with None.

    Attributes:
        is_peer_gone: nothing of it was stored, because the destination does not answer.
        reason: why.
    """

    def __init__(
        self, items: list[SendItem], destination: Destination, originator: MoveOriginator
    ) -> None:
        super().__init__(name="moving", daemon=True)
        self.results: queue.SimpleQueue[ItemResult | None] = queue.SimpleQueue()
        self.is_peer_gone = False
        self.reason = ""
        self._items = items
        self._destination = destination
        self._originator = originator
        self._is_stopped = threading.Event()

    def run(self) -> None:
        stored = 0

        def tell(result: ItemResult) -> None:
            nonlocal stored
            stored += result.status is not None
            self.results.put(result)

        try:
            report = send(
                self._items,
                self._destination.peer,
                associations=self._destination.associations,
                on_result=tell,
                is_cancelled=self._is_stopped.is_set,
                originator=self._originator,
            )
            if report.error is not None and not stored:
                self.is_peer_gone, self.reason = True, _plain(report.error)
        except (IsocenterError, OSError) as error:
            self.is_peer_gone, self.reason = True, str(error)
        finally:
            self.results.put(None)

    def stop(self) -> None:
        """Begin no further instance."""
        self._is_stopped.set()


def _plain(error: NetworkError) -> str:
    return f"the destination: {error}"
