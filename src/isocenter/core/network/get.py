"""Retrieve by C-GET (PS3.4 annex C.4.3) as acceptor: instances go out on the association that asks.

An instance goes as it is stored where the peer accepts that; else in a transfer syntax that it
accepts and that loses nothing. One C-STORE is under way at a time; while the peer stores one
instance the next is read.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from isocenter.core.errors import DicomError

from .carrying import Carrier, Prepared, Refused, read_start
from .command import C_GET_RQ
from .conversion import Conversion, Converter
from .messages import Message
from .proposals import SendItem
from .retrieval import GetProvider, Progress, RetrieveSession, StoredFile, Way
from .services import AssociationInfo, Channel, Session
from .sop_classes import GET_CLASSES

_WINDOW = 256  # instances that are looked at together, for conversions in groups
_BEAT_S = 0.2
_JPEG_LS, _JPEG_2000, _RLE = (
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
)
#: Transfer syntaxes that whatever is readable can be sent in, the best first; none loses anything.
TARGETS = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, DEFLATED_LITTLE, _JPEG_LS, _JPEG_2000, _RLE)


class GetService:
    """C-GET of the patient root and study root models."""

    def __init__(self, provider: GetProvider) -> None:
        self._provider = provider

    def preferred_syntax(self, sop_class: str) -> str:
        """What most instances of a class are stored in."""
        return self._provider.preferred_syntax(sop_class)

    def supports(self, abstract_syntax: str) -> bool:
        return abstract_syntax in GET_CLASSES

    def open(self, info: AssociationInfo) -> Session:
        self._provider.prepare()
        routes = Routes(info)

        def way(message: Message, channel: Channel) -> Way:
            return lambda files, progress: _Transfer(channel, routes, progress).run(files)

        return RetrieveSession(self._provider, info, C_GET_RQ, way)


class Routes:
    """In which context an instance can go to the peer of an association."""

    def __init__(self, info: AssociationInfo) -> None:
        self._contexts: dict[str, dict[str, int]] = {}
        for context in info.contexts.values():
            if context.is_peer_scp:
                of_class = self._contexts.setdefault(context.abstract_syntax, {})
                of_class.setdefault(context.transfer_syntax, context.context_id)

    def of(self, sop_class: str, stored_syntax: str) -> tuple[int, str]:
        """Context and transfer syntax.

        Raises:
            Refused: the peer takes it in no way.
        """
        accepted: Mapping[str, int] = self._contexts.get(sop_class, {})
        for syntax in (stored_syntax, *TARGETS):
            if syntax in accepted:
                return accepted[syntax], syntax
        if EXPLICIT_BIG in accepted and not accepted.keys() - {EXPLICIT_BIG}:
            raise Refused(f"the peer takes {sop_class} as big endian only, which is not written")
        raise Refused(
            f"the peer accepts no presentation context as SCP for {sop_class} in {stored_syntax}"
        )


class _Transfer:
    """All sub-operations of one request."""

    def __init__(self, channel: Channel, routes: Routes, progress: Progress) -> None:
        self._routes = routes
        self._progress = progress
        self._tally = progress.tally
        self._carrier = Carrier(channel)
        self._converter: Converter | None = None
        self._folder: Path | None = None
        self._is_over = threading.Event()

    def run(self, files: Iterator[StoredFile]) -> None:
        """Send until all are sent, or somebody wants to end."""
        with contextlib.ExitStack() as stack:
            while window := list(itertools.islice(files, _WINDOW)):
                self._converter = self._converter_for(window, stack)
                if not self._send_window(window):
                    return

    def _send_window(self, window: list[StoredFile]) -> bool:
        waiting = iter(window)
        current = self._next(waiting)
        while current is not None:
            if not self._progress.may_go_on():
                current.forget()
                return False
            self._carrier.transfer(current)
            # Not one that has to be converted: nothing else may be asked of the peer meanwhile.
            following, held = self._read_ahead(waiting)
            self._tally.note(self._carrier.answer(current))
            self._tally.bytes_sent += current.size
            current.forget()
            if held is not None:
                waiting = itertools.chain((held,), waiting)
            current = following or self._next(waiting)
        return self._progress.may_go_on()

    def _read_ahead(
        self, waiting: Iterator[StoredFile]
    ) -> tuple[Prepared | None, StoredFile | None]:
        """The next instance; or, where it has to be converted first, its file."""
        for file in waiting:
            if self._needs_conversion(file):
                return None, file
            if (ready := self._prepared(file)) is not None:
                return ready, None
        return None, None

    def _next(self, waiting: Iterator[StoredFile]) -> Prepared | None:
        for file in waiting:
            if (ready := self._prepared(file)) is not None:
                return ready
            if self._is_over.is_set():
                return None
        return None

    def _needs_conversion(self, file: StoredFile) -> bool:
        try:
            _, syntax = self._routes.of(file.sop_class_uid, file.transfer_syntax_uid)
        except Refused:
            return False
        return syntax != file.transfer_syntax_uid

    def _prepared(self, file: StoredFile) -> Prepared | None:
        """An instance that is ready to go; None where it cannot go, which is counted."""
        try:
            context_id, syntax = self._routes.of(file.sop_class_uid, file.transfer_syntax_uid)
            path, note = file.path, ""
            if syntax != file.transfer_syntax_uid:
                path, note = self._converted(file), f"sent as {syntax}"
            meta, offset, head, size = read_start(path, self._carrier.buffer)
            if meta.transfer_syntax_uid != syntax:
                raise DicomError("an instance is not what the index says it is")
        except (DicomError, OSError) as error:
            if not self._is_over.is_set():  # else it was given up, and remains
                self._tally.fail(file.sop_instance_uid, _reason(error))
            return None
        item = SendItem(
            file.path, file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax_uid, offset
        )
        return Prepared(item, context_id, path, offset, head, size, note)

    def _converter_for(
        self, window: list[StoredFile], stack: contextlib.ExitStack
    ) -> Converter | None:
        wanted = []
        for file in window:
            with contextlib.suppress(DicomError):  # counted when its turn comes
                _, syntax = self._routes.of(file.sop_class_uid, file.transfer_syntax_uid)
                if syntax != file.transfer_syntax_uid:
                    wanted.append(Conversion(file.item(), syntax))
        if not wanted:
            return None
        if self._folder is None:
            whole = tempfile.TemporaryDirectory(prefix="isocenter-get-", ignore_cleanup_errors=True)
            self._folder = Path(stack.enter_context(whole))
            stack.callback(self._is_over.set)  # first: a child may be at work there
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return Converter(wanted, folder, self._is_over.is_set)

    def _converted(self, file: StoredFile) -> Path:
        """The file in another transfer syntax; the peer hears of us while it is made."""
        assert self._converter is not None
        work = _Work(self._converter, file)
        work.start()
        while work.is_alive():
            work.join(_BEAT_S)
            if not self._progress.may_go_on():
                self._is_over.set()
        return work.result()


class _Work(threading.Thread):
    """A conversion beside the association."""

    def __init__(self, converter: Converter, file: StoredFile) -> None:
        super().__init__(name="converting", daemon=True)
        self._converter = converter
        self._file = file
        self._path: Path | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._path = self._converter.path_of(self._file.item())
        except (DicomError, OSError) as error:
            self._error = error

    def result(self) -> Path:
        """The converted file.

        Raises:
            DicomError, OSError: there is none.
        """
        if self._path is None:
            raise self._error or DicomError("an instance could not be converted")
        return self._path


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"an instance cannot be read: {error.strerror}"
    return str(error)
