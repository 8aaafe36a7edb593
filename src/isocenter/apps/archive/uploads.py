"""Files that people upload: into the spool, durable before the browser hears of it.

The caller hands over a stream that is bounded already (`runtime.web.bodies`); a ZIP is unpacked
from the data disk with the bounds of an import.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import unicodedata
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from isocenter.apps.archive.deposits import Deposit, Reception
from isocenter.apps.archive.import_sources import (
    Candidate,
    ImportBounds,
    Readable,
    begins_like_a_zip,
)
from isocenter.apps.archive.importing import ImportReport, spool_import, spool_stream
from isocenter.apps.archive.models import Source
from isocenter.apps.archive.spool import Spool
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry, record_many
from isocenter.core.errors import BoundsError, ConfigurationError, IsocenterError, SpoolError
from isocenter.runtime.state_files import read_state

_NAME_LENGTH = 512
_NOTES = 100  # per ZIP; a person reads no more
_CHUNK = 1 << 20
_MAX_BATCHES = 1024


@dataclass(frozen=True)
class Upload:
    """What became of one uploaded file.

    Attributes:
        name: as the sender calls it, made harmless; never used as a path.
        outcome: ``accepted``: in the spool, durable; ``skipped``: nothing for us in it;
            ``failed``: it, or something in the ZIP, could not be taken.
        instances: how many instances it brought.
        studies: how many of them by Study Instance UID; ingest indexes them within seconds.
        reason: a sentence, where the outcome is not ``accepted``.
        notes: files of a ZIP that were not taken, each with its reason; at most 100.
    """

    name: str
    outcome: str
    instances: int = 0
    studies: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def study_uids(self) -> tuple[str, ...]:
        return tuple(self.studies)

    def as_json(self) -> dict[str, Any]:
        """As the page and the API answer."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "instances": self.instances,
            "study_uid": self.study_uids[0] if len(self.study_uids) == 1 else "",
            "study_uids": list(self.study_uids),
            "instances_of": dict(self.studies),
            "reason": self.reason,
            "notes": [{"name": name, "reason": reason} for name, reason in self.notes],
        }


def take_upload(stream: BinaryIO, name: str, *, actor: str, batch: str = "") -> Upload:
    """Put an uploaded file into the spool; what it brought is durable when this returns.

    Args:
        stream: can be read and sought; a ZIP, or one DICOM file with or without preamble.
        name: as the sender calls it, with its folders.
        actor: for the audit.
        batch: uploads with the same one are one event per study.

    Raises:
        SpoolError: nothing is taken in now, or the disk takes no more. Try again later.
    """
    reason = pause()
    if reason:
        raise SpoolError(f"nothing is taken in now: {reason}", hint="try again later")
    shown = harmless(name)
    start = stream.read(132)
    stream.seek(0)
    if not start:
        return Upload(shown, "skipped", reason="an empty file")
    if begins_like_a_zip(start):
        upload = _take_zip(stream, shown)
    else:
        upload = _outcome(shown, _take_file(stream, shown))
    _write_down(upload, actor, batch)
    return upload


def pause() -> str:
    """Why nothing is taken in now; empty when it is."""
    return str(read_state(settings.LAYOUT.run / "receive-policy.json").get("paused") or "")


def harmless(name: str) -> str:
    """A file's name for people: no control characters, no marks that turn the text around."""
    kept = "".join(
        c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    ).strip()
    return (kept or "a file without a name")[:_NAME_LENGTH]


def _take_file(stream: BinaryIO, name: str) -> ImportReport:
    @contextmanager
    def opened() -> Iterator[Readable]:
        yield stream

    return spool_stream(Candidate(name, 0, opened), _spool(), kind=Source.Kind.UPLOAD)


def _take_zip(stream: BinaryIO, name: str) -> Upload:
    limits = settings.ISOCENTER.limits
    bounds = ImportBounds(max_entry_bytes=limits.max_instance_mb << 20)
    try:
        with _on_disk(stream) as path:
            report = spool_import([path], _spool(), kind=Source.Kind.UPLOAD, bounds=bounds)
    except SpoolError:
        raise
    except (IsocenterError, zipfile.BadZipFile) as error:
        # It names the file as we keep it; the sender knows it under another name.
        text = str(error).split(": ", 1)[-1]
        hint = getattr(error, "hint", "") if isinstance(error, ConfigurationError) else ""
        if isinstance(error, BoundsError):
            hint = "what came before that was taken"
        return Upload(name, "failed", reason=f"{text} ({hint})" if hint else text)
    return _outcome(name, report)


@contextmanager
def _on_disk(stream: BinaryIO) -> Iterator[Path]:
    """A path with the bytes of a stream: its own where it has one, else a copy."""
    own = getattr(stream, "temporary_file_path", None)
    if own is not None:
        yield Path(own())
        return
    with tempfile.NamedTemporaryFile(dir=settings.LAYOUT.uploads, suffix=".zip") as copy:
        shutil.copyfileobj(stream, copy, _CHUNK)
        copy.flush()
        yield Path(copy.name)


def _outcome(name: str, report: ImportReport) -> Upload:
    notes = [(harmless(note.name), note.reason) for note in (*report.failed, *report.skipped)]
    outcome = "accepted" if report.imported else "skipped"
    reason = ""
    if report.failed:
        outcome = "failed"
        reason = notes[0][1] if len(notes) == 1 else f"{len(report.failed)} files failed"
    elif not report.imported:
        reason = notes[0][1] if len(notes) == 1 else "no DICOM file is in it"
    elif not report.studies:
        reason = "it cannot be read as it is; look for it in the quarantine"
    is_one = len(notes) == 1 and notes[0][0] == name
    return Upload(
        name,
        outcome,
        instances=report.imported,
        studies=dict(report.studies),
        reason=reason,
        notes=() if is_one else tuple(notes[:_NOTES]),
    )


_spools: dict[Path, tuple[int, Spool]] = {}
_told: OrderedDict[tuple[str, str], set[str]] = OrderedDict()
_lock = threading.Lock()


def _spool() -> Spool:
    """The spool's writing end of this process; kept, because a segment is costly to begin."""
    ours = settings.ISOCENTER.storage
    folder: Path = settings.LAYOUT.spool
    with _lock:
        pid, spool = _spools.get(folder, (0, None))
        if spool is None or pid != os.getpid():
            spool = Spool(
                folder,
                segment_bytes=ours.segment_mb << 20,
                reserve_bytes=ours.reserve_mb << 20,
            )
            _spools[folder] = (os.getpid(), spool)
    return spool


def open_deposit(actor: str, study_uid: str = "") -> Deposit:
    """Room in the spool for the instances of one request.

    Args:
        study_uid: the only study that is taken; empty: any.
    """
    return Deposit(_spool(), actor=actor, study_uid=study_uid, reception=reception)


def has_room_for(size: int) -> bool:
    """Whether so many bytes can come and the reserve of the disk is still free."""
    free = shutil.disk_usage(settings.LAYOUT.spool).free
    return free - size > int(settings.ISOCENTER.storage.reserve_mb) << 20


def reception() -> Reception:
    """What is taken now."""
    policy = read_state(settings.LAYOUT.run / "receive-policy.json")
    denied = policy.get("denied_sop_classes")
    if not isinstance(denied, list):
        denied = settings.ISOCENTER.receiver.denied_sop_classes
    return Reception(str(policy.get("paused") or ""), frozenset(map(str, denied)))


def close_spool() -> None:
    """Seal what this process keeps of the spool; the next upload begins anew."""
    with _lock:
        for pid, spool in _spools.values():
            if pid == os.getpid():
                spool.close()
        _spools.clear()


def _write_down(upload: Upload, actor: str, batch: str) -> None:
    """One event per study and batch: a study is thousands of files."""
    with _lock:
        told = _told.setdefault((actor, batch), set()) if batch else set()
        new = [uid for uid in upload.study_uids if uid not in told]
        told.update(new)
        while len(_told) > _MAX_BATCHES:
            _told.popitem(last=False)
    detail = {"batch": batch[:64]} if batch else {"instances": upload.instances}
    record_many([Entry(Kind.STUDY_UPLOADED, uid, actor, detail) for uid in new])
