"""A few instances in the archive, and clients who ask for them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, JPEGExtended12Bit

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.services import take_in
from isocenter.apps.dicomweb.viewing import forget_views
from isocenter.runtime.settings import Settings

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.826.0.1.3680043.10.5"


def image(number: int = 1, *, series: str = f"{STUDY}.1", **more: Any) -> Dataset:
    """A tiny CT slice; keywords overwrite its attributes."""
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.StudyInstanceUID = STUDY
    ds.SeriesInstanceUID = series
    ds.SOPInstanceUID = f"{series}.{number}"
    ds.PatientName = "Müller^Jörg"
    ds.PatientID = "P1"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "M"
    ds.StudyDate, ds.StudyTime = "20260102", "101112"
    ds.AccessionNumber = "A1"
    ds.StudyDescription = "head"
    ds.Modality = "CT"
    ds.SeriesNumber = int(series.rpartition(".")[2])
    ds.InstanceNumber = number
    ds.KVP = "120"
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.PixelData = bytes(number % 251 for _ in range(32))
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A DICOM file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def archived(db: None, tmp_path: Path) -> Callable[..., None]:
    """Puts instances into the archive: ``archived(image(1), image(2), syntax=…)``."""
    forget_views()

    def put(*instances: Dataset, syntax: str = ExplicitVRLittleEndian) -> None:
        for number, each in enumerate(instances):
            path = tmp_path / f"{number}.dcm"
            path.write_bytes(encoded(each, syntax))
            take_in(path, source="SCANNER")

    return put


@pytest.fixture
def twelve_bits(archived: Callable[..., None], shared_data: Path) -> Dataset:
    """An archived JPEG image with 12 bits per sample, which no decoder here reads, in `STUDY`."""
    dataset = dcmread(shared_data / "transfer_syntaxes/pydicom/JPGExtended.dcm")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, f"{STUDY}.12"
    archived(dataset, syntax=JPEGExtended12Bit)
    return dataset


@pytest.fixture
def client_of(db: None) -> Callable[..., Client]:
    """A program with a token: ``client_of("staff")``, ``client_of("administrator", "view")``."""

    def make(role: str = "administrator", *scopes: str) -> Client:
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        token = create_token(user, scopes or ["all"]).text
        return Client(headers={"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    """A program that may do everything."""
    return client_of()


@pytest.fixture
def web_settings() -> Iterator[Callable[..., None]]:
    """Changes settings of ``web`` for one test."""
    before = settings.ISOCENTER

    def change(**section: Any) -> None:
        values = before.model_dump()
        values["web"] = {**values["web"], **section}
        settings.ISOCENTER = Settings(**values)

    yield change
    settings.ISOCENTER = before


def body_of(answer: Any) -> bytes:
    """The whole body, streamed or not."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def parts_of(answer: Any) -> list[tuple[dict[str, str], bytes]]:
    """Headers and content of each part, cut exactly."""
    boundary = answer.headers["Content-Type"].rpartition("boundary=")[2].encode()
    body = body_of(answer)
    assert body.endswith(b"--" + boundary + b"--\r\n")
    pieces = body.split(b"--" + boundary + b"\r\n")
    found = []
    for piece in pieces[1:]:
        head, _, content = piece.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        content = content.removesuffix(b"--" + boundary + b"--\r\n").removesuffix(b"\r\n")
        assert int(headers["Content-Length"]) == len(content)
        found.append((headers, content))
    return found
