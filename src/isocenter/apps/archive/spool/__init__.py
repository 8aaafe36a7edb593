"""The spool: accepted, durable, not yet indexed.

Plain files, no database and no Django, so that reception never waits for either::

    spool/segments/<name>.seg   records (instances) that wait for ingest
    spool/free/<name>.seg       used segments, kept to be written again
    spool/events/<name>.jsonl   what the receiver has to tell the audit
    spool/wake.sock             datagram socket that wakes ingest

Writers: :class:`Spool` gives a :class:`SpoolWriter` per association or import. Readers:
:class:`SpoolReader` and :class:`EventReader`; :class:`WakeListener` to sleep until something came.
"""

from __future__ import annotations

from .batch import BatchRecord, SpoolBatch
from .journal import EventJournal, EventReader, JournalEvent
from .pool import Spool
from .reader import SpoolReader, SpoolRecord
from .wake import WakeListener, WakeSender
from .writer import RecordWriter, SpoolWriter

__all__ = [
    "BatchRecord",
    "EventJournal",
    "EventReader",
    "JournalEvent",
    "RecordWriter",
    "Spool",
    "SpoolBatch",
    "SpoolReader",
    "SpoolRecord",
    "SpoolWriter",
    "WakeListener",
    "WakeSender",
]
