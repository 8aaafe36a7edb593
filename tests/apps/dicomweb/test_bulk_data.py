"""Bulk data: who may have it, and how what does not lie in the file as it is sent is made."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from .conftest import STUDY, image

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
