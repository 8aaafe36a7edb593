"""Bulk data: who may have it, and how what does not lie in the file as it is sent is made."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless

from .conftest import STUDY, body_of, image

SERIES = f"{STUDY}.1"
ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{SERIES}/instances/{SERIES}.1"


@pytest.fixture(autouse=True)
def stock(archived: Any) -> None:
    archived(image(1))


@pytest.mark.parametrize("place", ["7FE00010", "00880200/0/7fe00010"], ids=["image", "icon"])
def test_pixels_that_say_they_name_the_patient_are_no_bulk_data_for_everybody(
    client_of, archived, place
):
    icon = Dataset()
    icon.Rows = icon.Columns = icon.BitsAllocated = 8
    icon.PixelData = bytes(64)
    for number, says in enumerate(("YES", "NO")):
        sop = f"{STUDY}.8.{number + 1}"
        archived(
            image(
                number + 1,
                series=f"{STUDY}.8",
                BurnedInAnnotation=says,
                IconImageSequence=[icon],
            )
        )
        address = f"{ROOT}/series/{STUDY}.8/instances/{sop}/bulkdata/{place}"
        expected = 403 if says == "YES" else 200
        assert client_of("student").get(address).status_code == expected
        assert client_of("physician").get(address).status_code == 200


def test_who_may_not_see_a_value_does_not_learn_whether_there_is_one(client_of):
    student = client_of("student")
    answers = [student.get(f"{INSTANCE}/bulkdata/{tag}") for tag in ("00100010", "001021C0")]
    assert [each.status_code for each in answers] == [403, 403]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    "syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian], ids=["deflated", "big"]
)
def test_what_has_to_be_made_is_never_in_memory_as_a_whole(client, archived, syntax):
    side = 4000  # 32 MB of pixels
    pixels = (np.arange(side * side) % 60000).astype("u2")
    archived(
        image(1, series=f"{STUDY}.9", Rows=side, Columns=side, PixelData=pixels.tobytes()),
        syntax=syntax,
    )
    wanted = (pixels.byteswap() if syntax == ExplicitVRBigEndian else pixels).tobytes()
    place = f"{ROOT}/series/{STUDY}.9/instances/{STUDY}.9.1/bulkdata/7FE00010"
    headers = {"Accept": "application/octet-stream"}
    part = client.get(place, headers=headers | {"Range": "bytes=2000001-2000010"})
    assert body_of(part) == wanted[2000001:2000011]
    tracemalloc.start()
    try:
        answer = client.get(place, headers=headers)
        digest, length = hashlib.sha256(), 0
        for piece in answer.streaming_content:
            digest.update(piece)
            length += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == int(answer.headers["Content-Length"]) == len(wanted)
    assert digest.digest() == hashlib.sha256(wanted).digest()
    assert peak < 12 << 20


def test_compressed_pixels_as_octets_need_a_syntax_and_are_told_so(client, archived):
    pixels = encapsulate([b"\1" + bytes(65)])
    archived(image(1, series=f"{STUDY}.7", PixelData=pixels), syntax=RLELossless)
    place = f"{ROOT}/series/{STUDY}.7/instances/{STUDY}.7.1/bulkdata/7FE00010"
    form = 'multipart/related; type="application/octet-stream"'
    refused = client.get(place, headers={"Accept": form})
    assert refused.status_code == 406
    assert f"{form}; transfer-syntax=*" in refused.json()["hint"]
    assert client.get(place, headers={"Accept": f"{form}; transfer-syntax=*"}).status_code == 200
