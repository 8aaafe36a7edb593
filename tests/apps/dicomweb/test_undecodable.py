"""JPEG with 12 bits: its syntax is decoded, it is not. That is known before an answer begins."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import STUDY, image, parts_of

PLACE = f"/dicom-web/studies/{STUDY}"
EXPLICIT, EXTENDED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.51"


def taking(kind: str, syntax: str = "") -> dict[str, str]:
    more = f"; transfer-syntax={syntax}" if syntax else ""
    return {"Accept": f'multipart/related; type="{kind}"{more}'}


def test_it_goes_as_it_is_stored_beside_others(
    client: Any, archived: Any, twelve_bits: Any
) -> None:
    archived(image(1))
    answer = client.get(PLACE, headers=taking("application/dicom"))
    assert answer.status_code == 200
    kinds = sorted(headers["Content-Type"] for headers, _ in parts_of(answer))
    assert kinds == [
        f"application/dicom; transfer-syntax={syntax}" for syntax in (EXPLICIT, EXTENDED)
    ]


@pytest.mark.parametrize("kind", ["application/dicom", "application/octet-stream"])
def test_it_is_406_where_another_syntax_is_wanted(
    client: Any, archived: Any, twelve_bits: Any, kind: str
) -> None:
    archived(image(1))
    answer = client.get(PLACE, headers=taking(kind, EXPLICIT))
    assert answer.status_code == 406
    assert EXTENDED in answer.json()["error"]
    assert client.get(PLACE, headers=taking(kind, "*")).status_code == 200


def test_with_eight_bits_it_is_decoded(client: Any, archived: Any, shared_data: Any) -> None:
    from pydicom import dcmread

    dataset = dcmread(shared_data / "transfer_syntaxes/pydicom/SC_rgb_jpeg_dcmtk.dcm")
    dataset.StudyInstanceUID = STUDY
    archived(dataset, syntax=dataset.file_meta.TransferSyntaxUID)
    ((headers, _),) = parts_of(client.get(PLACE, headers=taking("application/dicom")))
    assert headers["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
