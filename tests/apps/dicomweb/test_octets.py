"""Pixel data of whole instances as bytes: in the transfer syntax asked for, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames

from isocenter.apps.archive import queries
from isocenter.apps.archive.services import take_in
from isocenter.apps.dicomweb import pixels
from isocenter.core.dicom.pixels import decode_frames

from .conftest import STUDY, encoded, image, parts_of

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
J2K, MPEG4 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.102"
COMPRESSED = "mr_enhanced_small/emri_small_jpeg_2k_lossless.dcm"


@pytest.fixture(scope="module", autouse=True)
def _no_processes_left() -> Iterator[None]:
    yield
    pixels.close()


@pytest.fixture
def study(db: None, shared_data: Path, tmp_path: Path) -> str:
    """A compressed image of several frames, and a native one beside it."""
    dataset = dcmread(shared_data / COMPRESSED, stop_before_pixels=True)
    beside = image(1)
    beside.StudyInstanceUID = dataset.StudyInstanceUID
    (tmp_path / "a.dcm").write_bytes((shared_data / COMPRESSED).read_bytes())
    (tmp_path / "b.dcm").write_bytes(encoded(beside))
    for name in "ab":
        take_in(tmp_path / f"{name}.dcm", source="SCANNER")
    return f"/dicom-web/studies/{dataset.StudyInstanceUID}"


def octets(syntax: str = "") -> dict[str, str]:
    more = f"; transfer-syntax={syntax}" if syntax else ""
    return {"Accept": f'multipart/related; type="application/octet-stream"{more}'}


@pytest.mark.parametrize("syntax", ["", EXPLICIT, IMPLICIT])
def test_compressed_pixels_are_decoded_where_native_ones_are_taken(
    client: Any, study: str, shared_data: Path, syntax: str
) -> None:
    answer = client.get(study, headers=octets(syntax))
    assert answer.status_code == 200
    found = parts_of(answer)
    assert {headers["Content-Type"] for headers, _ in found} == {"application/octet-stream"}
    frames = [frame.tobytes() for frame in decode_frames(shared_data / COMPRESSED)]
    assert sorted(data for _, data in found) == sorted([*frames, image(1).PixelData])
    assert sum(headers["Content-Location"].endswith("/frames/2") for headers, _ in found) == 1


def test_any_syntax_gives_what_is_stored(client: Any, study: str, shared_data: Path) -> None:
    dataset = dcmread(shared_data / COMPRESSED)
    stored = list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))
    found = parts_of(client.get(study, headers=octets("*")))
    assert sorted(data for _, data in found) == sorted([*stored, image(1).PixelData])
    named = [data for headers, data in found if headers["Content-Type"].endswith(J2K)]
    assert named == stored


def test_a_syntax_that_they_cannot_have_is_406(client: Any, study: str) -> None:
    answer = client.get(study, headers=octets(J2K))  # the native one is not compressed
    assert answer.status_code == 406
    assert "transfer-syntax=*" in answer.json()["hint"]


def test_video_is_not_given_as_native_pixels(client: Any, archived: Any) -> None:
    from pydicom.encaps import encapsulate

    video = image(1, series=f"{STUDY}.6", PixelData=encapsulate([b"\0" * 64]))
    video["PixelData"].VR = "OB"
    video["PixelData"].is_undefined_length = True
    archived(video, syntax=MPEG4)
    assert client.get(f"/dicom-web/studies/{STUDY}", headers=octets()).status_code == 406
    assert client.get(f"/dicom-web/studies/{STUDY}", headers=octets("*")).status_code == 200


def test_a_file_that_is_gone_is_told(client: Any, archived: Any) -> None:
    archived(image(1), image(2))
    next(iter(queries.stored(study_uid=STUDY))).path.unlink()
    answer = client.get(f"/dicom-web/studies/{STUDY}", headers=octets())
    assert answer.status_code == 409
    assert "file" in answer.json()["error"]
