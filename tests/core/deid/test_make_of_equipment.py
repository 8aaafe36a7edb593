"""What the equipment says of its make stays, but not where somebody is in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from isocenter.core.deid.engine import ObjectResult

Deidentify = Callable[..., tuple[Dataset, ObjectResult]]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("keyword", ["Manufacturer", "ManufacturerModelName", "SoftwareVersions"])
@pytest.mark.parametrize(
    "whose", ["PatientID", "AccessionNumber", "InstitutionName", "PatientTelephoneNumbers"]
)
def test_an_identifier_in_place_of_the_make_goes(
    ct: Dataset, deidentify: Deidentify, keyword: str, whose: str
) -> None:
    value = "0622199887766" if whose == "PatientTelephoneNumbers" else "QX4711-88"
    setattr(ct, whose, value)
    setattr(ct, keyword, value)
    new, _ = deidentify(ct)
    assert value not in str(new.get(keyword, ""))


def test_a_station_called_as_its_model_leaves_the_model(
    ct: Dataset, deidentify: Deidentify
) -> None:
    ct.StationName = ct.ManufacturerModelName = "Revolutio 7"
    new, _ = deidentify(ct)
    assert new.ManufacturerModelName == "Revolutio 7"


def test_a_phantom_with_the_modality_for_a_number_leaves_it(
    ct: Dataset, deidentify: Deidentify
) -> None:
    ct.PatientID = ct.AccessionNumber = "CT"
    new, _ = deidentify(ct)
    assert new.Modality == "CT"
