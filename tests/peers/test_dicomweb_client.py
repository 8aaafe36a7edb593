"""dicomweb-client as a client of a whole platform: search, retrieve, render, store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from requests import HTTPError, Session

from platform_under_test import Platform

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about values that are odd
]


@pytest.fixture(scope="module")
def shared_platform(module_folder: Path) -> Iterator[Platform]:
    platform = Platform(module_folder / "platform", {})
    platform.start()
    yield platform
    platform.end()


@pytest.fixture(scope="module")
def token(shared_platform: Platform) -> str:
    made = shared_platform.json("token", "create", "--user", "admin", "--scope", "all")
    return str(made["token"])


@pytest.fixture(scope="module")
def client(shared_platform: Platform, token: str) -> DICOMwebClient:
    session = Session()
    session.headers["Authorization"] = f"Bearer {token}"
    url = f"http://127.0.0.1:{shared_platform.http_port}/dicom-web"
    return DICOMwebClient(url, session=session)


@pytest.fixture(scope="module")
def stored(
    shared_platform: Platform, client: DICOMwebClient, shared_data: Path
) -> list[tuple[Path, Any]]:
    """Five CT slices, stored by STOW-RS and indexed."""
    paths = sorted((shared_data / "ct_chest_ACRIN" / "image").glob("*.dcm"))[:5]
    datasets = [dcmread(path) for path in paths]
    answer = client.store_instances(datasets)
    assert len(answer.ReferencedSOPSequence) == 5
    assert "FailedSOPSequence" not in answer
    study = datasets[0].StudyInstanceUID
    shared_platform.wait_for(lambda: len(client.search_for_instances(study)) == 5)
    return list(zip(paths, datasets, strict=True))


@pytest.fixture
def first(stored: list[tuple[Path, Any]]) -> Any:
    return stored[0][1]


def uids(dataset: Any) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def test_search_at_every_level(client: DICOMwebClient, first: Any) -> None:
    study, series, instance = uids(first)
    (found,) = client.search_for_studies(search_filters={"PatientID": first.PatientID})
    assert found["0020000D"]["Value"] == [study]
    (found,) = client.search_for_series(study, fields=["SeriesDescription", "00080060"])
    assert found["0020000E"]["Value"] == [series]
    numbers = [
        each["00200013"]["Value"][0]
        for offset in (0, 2, 4)
        for each in client.search_for_instances(study, series, limit=2, offset=offset)
    ]
    assert numbers == sorted(numbers)
    assert len(numbers) == 5
    (found,) = client.search_for_instances(search_filters={"SOPInstanceUID": instance})
    assert found["00080018"]["Value"] == [instance]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    assert len(client.search_for_instances(get_remaining=True)) == 5


def test_a_search_that_makes_no_sense_is_refused(client: DICOMwebClient) -> None:
    with pytest.raises(HTTPError, match="400"):
        client.search_for_studies(search_filters={"StudyDate": "yesterday"})


def test_instances_come_back_byte_for_byte(
    client: DICOMwebClient, stored: list[tuple[Path, Any]]
) -> None:
    by_uid = {dataset.SOPInstanceUID: dataset for _, dataset in stored}
    study, series, instance = uids(stored[0][1])
    kinds = (("application/dicom", "*"),)
    for found in (
        client.retrieve_study(study, media_types=kinds),
        client.retrieve_series(study, series, media_types=kinds),
        list(client.iter_series(study, series, media_types=kinds)),
    ):
        assert len(found) == 5
        for each in found:
            before = by_uid[each.SOPInstanceUID]
            assert each == before
            assert each.PixelData == before.PixelData
    assert client.retrieve_instance(study, series, instance) == by_uid[instance]


def test_metadata_are_what_the_files_say(client: DICOMwebClient, first: Any) -> None:
    study, series, instance = uids(first)
    assert len(client.retrieve_study_metadata(study)) == 5
    assert len(client.retrieve_series_metadata(study, series)) == 5
    (found,) = [client.retrieve_instance_metadata(study, series, instance)]
    found = found[0] if isinstance(found, list) else found
    told = Dataset.from_json(found, bulk_data_uri_handler=lambda *_: b"")
    for keyword in ("PatientName", "StudyDate", "Rows", "ImagePositionPatient", "PixelSpacing"):
        assert told[keyword].value == first[keyword].value, keyword


def test_bulk_data_lead_to_the_pixels(client: DICOMwebClient, first: Any) -> None:
    found = client.retrieve_instance_metadata(*uids(first))
    found = found[0] if isinstance(found, list) else found
    (pixels,) = client.retrieve_bulkdata(found["7FE00010"]["BulkDataURI"])
    assert pixels == first.PixelData


def test_frames_are_the_pixels(client: DICOMwebClient, first: Any) -> None:
    (frame,) = client.retrieve_instance_frames(*uids(first), frame_numbers=[1])
    assert frame == first.PixelData
    with pytest.raises(HTTPError, match=r"40[04]"):
        client.retrieve_instance_frames(*uids(first), frame_numbers=[2])


@pytest.mark.parametrize(("media_type", "form"), [("image/png", "PNG"), ("image/jpeg", "JPEG")])
def test_rendered_pictures_are_pictures(
    client: DICOMwebClient, first: Any, media_type: str, form: str
) -> None:
    whole = client.retrieve_instance_rendered(*uids(first), media_types=(media_type,))
    picture = Image.open(io.BytesIO(whole))
    assert (picture.format, picture.size) == (form, (first.Columns, first.Rows))
    assert np.asarray(picture).std() > 0
    frame = client.retrieve_instance_frames_rendered(
        *uids(first), frame_numbers=[1], media_types=(media_type,)
    )
    assert Image.open(io.BytesIO(frame)).size == picture.size


def test_storing_again_is_no_second_instance(client: DICOMwebClient, first: Any) -> None:
    client.store_instances([first])
    assert len(client.search_for_instances(first.StudyInstanceUID)) == 5


def test_without_a_token_nothing_is_told(shared_platform: Platform, first: Any) -> None:
    url = f"http://127.0.0.1:{shared_platform.http_port}/dicom-web"
    with pytest.raises(HTTPError, match="401"):
        DICOMwebClient(url).search_for_studies()


def test_a_token_as_the_password_of_basic_is_enough(
    shared_platform: Platform, token: str, first: Any
) -> None:
    session = Session()
    session.auth = ("anybody", token)
    url = f"http://127.0.0.1:{shared_platform.http_port}/dicom-web"
    assert DICOMwebClient(url, session=session).search_for_studies()


def test_a_file_that_vanished_breaks_the_transfer(
    shared_platform: Platform, client: DICOMwebClient, stored: list[tuple[Path, Any]]
) -> None:
    """Last of all: the client sees an error, not a shorter series."""
    study, series, instance = uids(stored[-1][1])
    (path,) = (shared_platform.data_dir / "archive").rglob(f"{instance}.dcm")
    content = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(Exception, match=r"(?i)incomplete|broken|prematurely|reset"):
            client.retrieve_series(study, series, media_types=(("application/dicom", "*"),))
    finally:
        path.write_bytes(content)
