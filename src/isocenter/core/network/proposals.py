"""Which presentation contexts to propose for a set of instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, IMPLICIT_LITTLE, read_file_meta
from isocenter.core.errors import DataSetError, DicomError, NotDicomError

from .identity import PREFIX_BYTES, identity_of
from .pdu import MAX_CONTEXTS, ProposedContext

UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)


@dataclass(frozen=True)
class SendItem:
    """A file to send, and what the C-STORE request says of it.

    Attributes:
        dataset_offset: where the data set begins in the file, in bytes.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int


def read_item(path: Path) -> SendItem:
    """Look into a file.

    Raises:
        DicomError: it is no DICOM instance, or does not say which.
    """
    try:
        with path.open("rb") as stream:
            meta, offset = read_file_meta(stream)
            sop_class, sop_instance = meta.sop_class_uid, meta.sop_instance_uid
            if not sop_class or not sop_instance:
                stream.seek(offset)
                found = identity_of(stream.read(PREFIX_BYTES), meta.transfer_syntax_uid)
                sop_class = sop_class or found.sop_class_uid or ""
                sop_instance = sop_instance or found.sop_instance_uid or ""
    except OSError as error:
        raise NotDicomError(f"{path} cannot be read: {error.strerror}") from error
    if not sop_class or not sop_instance:
        raise DataSetError(f"{path} has no SOP class or SOP instance UID")
    if sop_class == "1.2.840.10008.1.3.10":
        raise DicomError(f"{path} is a DICOMDIR, which is not sent")
    return SendItem(path, sop_class, sop_instance, meta.transfer_syntax_uid, offset)


@dataclass
class Batch:
    """What one association carries: up to 128 contexts, and the instances that use them."""

    items: list[SendItem] = field(default_factory=list)
    _ids: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def contexts(self) -> list[ProposedContext]:
        """One per SOP class and transfer syntax, and one per SOP class to fall back on."""
        return [
            ProposedContext(number, sop_class, (syntax,) if syntax else UNCOMPRESSED)
            for (sop_class, syntax), number in self._ids.items()
        ]

    def add(self, item: SendItem) -> bool:
        """Take an instance in; False when its contexts do not fit any more."""
        wanted = [self._own(item), self._fallback(item)]
        new = [key for key in wanted if key not in self._ids]
        if len(self._ids) + len(new) > MAX_CONTEXTS:
            return False
        for key in new:
            self._ids[key] = 2 * len(self._ids) + 1
        self.items.append(item)
        return True

    def own_context(self, item: SendItem) -> int:
        """The context in the transfer syntax that the file has."""
        return self._ids[self._own(item)]

    def fallback_context(self, item: SendItem) -> int:
        """The context in an uncompressed transfer syntax that the peer may choose."""
        return self._ids[self._fallback(item)]

    @staticmethod
    def _own(item: SendItem) -> tuple[str, str]:
        return item.sop_class_uid, item.transfer_syntax_uid

    @staticmethod
    def _fallback(item: SendItem) -> tuple[str, str]:
        return item.sop_class_uid, ""


def plan(items: Iterable[SendItem]) -> list[Batch]:
    """Spread instances over as few associations as their contexts need, in order within each."""
    batches: list[Batch] = []
    for item in items:
        if not any(batch.add(item) for batch in batches):
            batch = Batch()
            batch.add(item)
            batches.append(batch)
    return batches
