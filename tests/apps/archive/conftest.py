"""Small instances with what a test wants to say, and the way in that the platform uses."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.apps.archive.intake import SpoolIntake
from isocenter.apps.archive.models import Study
from isocenter.apps.archive.spool import Spool
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings

CT = "1.2.840.10008.5.1.4.1.1.2"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY = "1.2.826.0.1.3680043.10.1"
SERIES = f"{STUDY}.1"
MARK = "ZZSECRETZZ"  # in each identity, to be looked for where it must not be


def image(
    number: int = 1, *, study: str = STUDY, series: str | None = None, **more: Any
) -> Dataset:
    """A tiny CT slice; keywords overwrite its attributes."""
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = series if series is not None else f"{study}.1"
    ds.SOPInstanceUID = f"{series or study + '.1'}.{number}"
    ds.PatientName = f"{MARK}^Name"
    ds.PatientID = f"{MARK}1"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "F"
    ds.StudyDate = "20260102"
    ds.StudyTime = "101112"
    ds.AccessionNumber = f"{MARK}A"
    ds.StudyID = "1"
    ds.StudyDescription = "head"
    ds.Modality = "CT"
    ds.SeriesNumber = 1
    ds.InstanceNumber = number
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.PixelData = bytes(number % 251 for _ in range(32))
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def structure_set(
    *, study: str = STUDY, names: str = SERIES, instances: tuple[str, ...] = (), **more: Any
) -> Dataset:
    """An RTSTRUCT that names a series, and instances in its contour images."""
    ds = image(1, study=study, series=f"{study}.9", **more)
    del ds.PixelData
    ds.SOPClassUID = RTSTRUCT
    ds.Modality = "RTSTRUCT"
    series = Dataset()
    series.SeriesInstanceUID = names
    series.ContourImageSequence = Sequence([_reference(uid) for uid in instances])
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    referenced.ReferencedSOPInstanceUID = study
    referenced.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = f"{study}.77"
    frame.RTReferencedStudySequence = Sequence([referenced])
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    return ds


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID = uid
    return item


def encoded(ds: Dataset, *, sop_uid: str = "", syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A DICOM file. ``sop_uid`` goes into its file meta information in place of the data set's."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = sop_uid or ds.get("SOPInstanceUID") or "1.2.3"
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


class Intake:
    """Puts instances into the spool as the receiver does, and takes them in."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.spool = Spool(layout.spool, segment_bytes=1 << 20)
        self.reader = SpoolIntake(layout.spool)
        self._writer = self.spool.writer()

    def send(
        self,
        *instances: Dataset | bytes,
        at: datetime | None = None,
        ae: str = "SCANNER",
        sop_uid: str = "",
    ) -> None:
        """Accept instances, not yet indexed."""
        for instance in instances:
            payload = instance if isinstance(instance, bytes) else encoded(instance)
            meta = {
                "kind": "dimse",
                "calling_ae_title": ae,
                "called_ae_title": "ISOCENTER",
                "address": "127.0.0.1",
                "sop_instance_uid": sop_uid
                or ("" if isinstance(instance, bytes) else str(instance.SOPInstanceUID)),
                "received_at": (at or datetime.now(UTC)).isoformat(),
            }
            self._writer.begin(meta).commit(payload)

    def seal(self) -> None:
        """Nobody writes the segments any more."""
        self._writer.close()
        self.spool.close()
        self.spool = Spool(self.layout.spool, segment_bytes=1 << 20)
        self._writer = self.spool.writer()

    def take(self, *instances: Dataset | bytes, **more: Any) -> None:
        """Accept and index."""
        self.send(*instances, **more)
        assert self.reader.drain() is not None

    def files(self) -> list[Path]:
        """What is in the archive."""
        return sorted(
            path
            for path in self.layout.archive.rglob("*")
            if path.is_file() and ".staging" not in path.parts
        )

    def close(self) -> None:
        self._writer.close()
        self.spool.close()


@pytest.fixture
def intake(db: None, installation: Layout) -> Any:
    """The way in of an empty installation."""
    made = Intake(installation)
    yield made
    made.close()


@pytest.fixture
def configured() -> Callable[..., Settings]:
    """Change sections of the settings: ``configured(storage={"duplicate_policy": "replace"})``."""

    def change(**sections: dict[str, Any]) -> Settings:
        values = settings.ISOCENTER.model_dump()
        for name, section in sections.items():
            values[name] = {**values[name], **section}
        settings.ISOCENTER = Settings(**values)
        return settings.ISOCENTER

    return change


def the_study(uid: str = STUDY) -> Study:
    """The row of a study."""
    return Study.objects.get(study_uid=uid)


def after(study: Study, seconds: float) -> datetime:
    """So long after the last receipt."""
    return study.last_received_at + timedelta(seconds=seconds)


def wait_until(condition: Callable[[], bool]) -> None:
    """Fails after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start_ingest(intake: Intake) -> subprocess.Popen[bytes]:
    """``isocenter ingest`` on this test's database and data directory."""
    address = connection.settings_dict
    url = (
        f"postgresql://{address['USER']}:{address['PASSWORD']}@{address['HOST']}:{address['PORT']}"
        f"/{address['NAME']}"
    )
    environment = {
        **os.environ,
        "ISOCENTER_DATABASE_URL": url,
        "ISOCENTER_DATA_DIR": str(intake.layout.root),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "isocenter.cli.main", "ingest"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
