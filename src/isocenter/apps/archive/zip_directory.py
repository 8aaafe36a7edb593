"""The DICOMDIR of an archive: names of files and records, from the index and, of what is no
image, from the headers."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from isocenter.apps.archive.models import Study
from isocenter.core.dicom.directory import DirectoryWriter, FileReference, file_id_of
from isocenter.core.dicom.directory_records import record_of
from isocenter.core.dicom.uids import derive_uid
from isocenter.core.errors import DataSetError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from stream_zip import MemberFile

NAME = "DICOMDIR"
#: What a directory must say of a patient and a study, where the index has nothing.
NO_PATIENT_ID, NO_DATE, NO_TIME, NO_STUDY_ID = "UNKNOWN", "19000101", "000000", "1"


class Listed(Protocol):
    """What is needed of a file."""

    @property
    def path(self) -> Path: ...
    @property
    def series_uid(self) -> str: ...
    @property
    def series_number(self) -> int | None: ...
    @property
    def modality(self) -> str: ...
    @property
    def sop_class_uid(self) -> str: ...
    @property
    def sop_uid(self) -> str: ...
    @property
    def transfer_syntax_uid(self) -> str: ...
    @property
    def instance_number(self) -> int | None: ...


@dataclass(frozen=True)
class PatientAndStudy:
    """What the records of patient and study say."""

    study_uid: str
    patient_id: str
    patient_name: str
    study_date: str
    study_time: str
    study_id: str
    study_description: str
    accession_number: str

    @classmethod
    def of(cls, row: Study) -> PatientAndStudy:
        return cls(
            row.study_uid,
            row.patient_id,
            row.patient_name,
            row.study_date,
            row.study_time,
            row.study_id,
            row.study_description,
            row.accession_number,
        )

    def patient(self) -> Dataset:
        return _record(
            self._character_set(self.patient_name, self.patient_id),
            PatientName=self.patient_name,
            PatientID=self.patient_id or NO_PATIENT_ID,
        )

    def study(self) -> Dataset:
        texts = (self.study_description, self.study_id, self.accession_number)
        return _record(
            self._character_set(*texts),
            StudyDate=self.study_date or NO_DATE,
            StudyTime=self.study_time or NO_TIME,
            StudyDescription=self.study_description,
            StudyInstanceUID=self.study_uid,
            StudyID=self.study_id or NO_STUDY_ID,
            AccessionNumber=self.accession_number,
        )

    @staticmethod
    def _character_set(*texts: str) -> str:
        """The plainest that can write them: old readers of media know few."""
        text = "".join(texts)
        if text.isascii():
            return ""
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            return "ISO_IR 192"
        return "ISO_IR 100"


def file_ids(files: Sequence[Listed]) -> list[tuple[str, ...]]:
    """A File ID for each, in folders by series.

    Raises:
        DataSetError: there are more than File IDs can count.
    """
    names = []
    series = instance = 0
    last = None
    for file in files:
        if file.series_uid != last:
            series, instance, last = series + 1, 0, file.series_uid
        instance += 1
        names.append(file_id_of(series, instance))
    return names


def directory_members(
    study: PatientAndStudy, files: Sequence[Listed], names: Sequence[tuple[str, ...]], mode: int
) -> Iterator[MemberFile]:
    """The DICOMDIR as a member of the archive. It is kept until it was read.

    Raises:
        OSError: the header of a file cannot be read.
        DataSetError: it becomes too large.
    """
    from stream_zip import NO_COMPRESSION_64

    uid = derive_uid("DICOMDIR", study.study_uid, *(file.sop_uid for file in files))
    with DirectoryWriter(uid) as writer:
        writer.add("PATIENT", study.patient())
        writer.add("STUDY", study.study())
        _add_files(writer, files, names)
        checksum = 0
        for piece in writer.pieces():
            checksum = zlib.crc32(piece, checksum)
        method = NO_COMPRESSION_64(writer.size, checksum)
        yield NAME, datetime.now(UTC), mode, method, writer.pieces()


def _add_files(
    writer: DirectoryWriter, files: Sequence[Listed], names: Sequence[tuple[str, ...]]
) -> None:
    last, number = None, 0
    for file, name in zip(files, names, strict=True):
        if file.series_uid != last:
            last, number = file.series_uid, number + 1
            known = file.series_number
            writer.add(
                "SERIES",
                _record(
                    "",
                    Modality=file.modality or "OT",
                    SeriesInstanceUID=file.series_uid,
                    SeriesNumber=number if known is None else known,
                ),
            )
        kind, keys = record_of(
            file.path,
            sop_class_uid=file.sop_class_uid,
            modality=file.modality,
            number=int(name[-1][2:]) if file.instance_number is None else file.instance_number,
        )
        reference = FileReference(name, file.sop_class_uid, file.sop_uid, file.transfer_syntax_uid)
        try:
            writer.add(kind, keys, reference)
        except DataSetError:  # values that cannot be written: it stays findable
            writer.add("PRIVATE", _record(""), reference)


def _record(character_set: str, **values: object) -> Dataset:
    from pydicom.dataset import Dataset

    from isocenter.core.dicom.quiet import quiet_pydicom

    record = Dataset()
    if character_set:
        record.SpecificCharacterSet = character_set
    with quiet_pydicom():
        for keyword, value in values.items():
            setattr(record, keyword, value)
    return record
