"""What comes into the archive, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 4 << 20
WHOLE_BYTES = 16 << 20  # up to here a payload is one piece


class Payload(Protocol):
    """A complete DICOM file somewhere: in a spool segment or in a file."""

    @property
    def length(self) -> int: ...

    def chunks(self) -> Iterator[bytes]:
        """Its bytes: one piece up to ``WHOLE_BYTES``, beyond that pieces of ``CHUNK_BYTES``."""
        ...


@dataclass(frozen=True)
class FilePayload:
    """A file on disk."""

    path: Path

    @property
    def length(self) -> int:
        return self.path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        size = WHOLE_BYTES if self.length <= WHOLE_BYTES else CHUNK_BYTES
        with self.path.open("rb") as stream:
            while chunk := stream.read(size):
                yield chunk


@dataclass(frozen=True)
class Origin:
    """Who sent it. ``kind`` is one of ``archive.models.Source.Kind``."""

    kind: str
    calling_ae_title: str = ""
    called_ae_title: str = ""
    address: str = ""


@dataclass(frozen=True)
class Incoming:
    """One instance on its way in.

    Attributes:
        sop_instance_uid: what the sender's command said; used where the data set is empty.
        is_derived: one of our own artifacts, published by a run.
    """

    payload: Payload
    origin: Origin
    received_at: datetime
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    is_derived: bool = False


class Outcome(StrEnum):
    STORED = "stored"
    DUPLICATE = "duplicate"  # the same data set is here already
    REPLACED = "replaced"  # the new one is kept, the old one is in quarantine
    CONFLICT = "conflict"  # the old one is kept, the new one is in quarantine
    UNREADABLE = "unreadable"  # in quarantine


@dataclass(frozen=True)
class Verdict:
    """What became of one incoming instance.

    Attributes:
        path: of the archived file, relative to the archive; empty when it is in quarantine.
        reason: why it is in quarantine; empty otherwise.
    """

    outcome: Outcome
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    path: str = ""
    reason: str = ""

    @property
    def is_in_quarantine(self) -> bool:
        return self.outcome in (Outcome.CONFLICT, Outcome.UNREADABLE)
