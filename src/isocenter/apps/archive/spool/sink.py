"""The spool as the place where received instances go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from isocenter.core.dicom.part10 import FileMeta, encode_file_meta
from isocenter.core.network.services import AssociationInfo
from isocenter.core.network.storage import InstanceContext, StorageSink

from .pool import Spool
from .writer import RecordWriter


class SpoolSink:
    """Instances of one association, as records of kind ``dimse``.

    The meta of a record: kind, calling_ae_title, called_ae_title, address, association,
    sop_class_uid, sop_instance_uid, transfer_syntax_uid, received_at (ISO 8601, UTC),
    dataset_offset (where the data set begins in the payload, in bytes).
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._writer = spool.writer()

    def reserve_ok(self) -> bool:
        return self._spool.has_room()

    def open(self, context: InstanceContext) -> SpoolInstance:
        head = encode_file_meta(
            FileMeta(
                sop_class_uid=context.sop_class_uid,
                sop_instance_uid=context.sop_instance_uid,
                transfer_syntax_uid=context.transfer_syntax_uid,
            )
        )
        meta = {
            "kind": "dimse",
            "calling_ae_title": context.calling_ae_title,
            "called_ae_title": context.called_ae_title,
            "address": context.address,
            "association": context.association_id,
            "sop_class_uid": context.sop_class_uid,
            "sop_instance_uid": context.sop_instance_uid,
            "transfer_syntax_uid": context.transfer_syntax_uid,
            "received_at": _now(),
            "dataset_offset": len(head),
        }
        return SpoolInstance(self._writer.begin(meta, head), meta)

    def close(self) -> None:
        self._writer.close()


class SpoolInstance:
    """One record, in the storage service's words."""

    def __init__(self, record: RecordWriter, meta: dict[str, Any]) -> None:
        self._record = record
        self._meta = meta

    def write(self, buffers: Sequence[memoryview]) -> None:
        self._record.write(*buffers)

    def commit(self, buffers: Sequence[memoryview]) -> None:
        # Quiet time begins at the end of an instance: one may take longer than the debounce.
        self._record.revise({**self._meta, "received_at": _now()})
        self._record.commit(*buffers)

    def abort(self) -> None:
        self._record.abort()


class SpoolSinks:
    """Makes the sink of each association."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __call__(self, info: AssociationInfo) -> StorageSink:
        return SpoolSink(self._spool)


def _now() -> str:
    """ISO 8601 in UTC, always of the same length."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
