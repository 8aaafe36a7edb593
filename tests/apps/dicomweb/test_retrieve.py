"""Instances, metadata and bulk data: as stored or asked for, whole, in ranges, or not at all."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian

from isocenter.apps.archive import queries
from isocenter.apps.audit.models import Event
from isocenter.apps.dicomweb.files_sent import TransferBroken
from isocenter.apps.routing.models import QuarantineItem
from isocenter.apps.routing.services import retry_quarantined

from .conftest import STUDY, body_of, image, parts_of

SERIES = f"{STUDY}.1"
ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{SERIES}/instances/{SERIES}.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE, JPEG_BASELINE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"


@pytest.fixture(autouse=True)
def stock(archived: Any) -> None:
    archived(image(1), image(2))


def accepting(syntax: str = "", media_type: str = "application/dicom") -> dict[str, str]:
    more = f"; transfer-syntax={syntax}" if syntax else ""
    return {"Accept": f'multipart/related; type="{media_type}"{more}'}


def files() -> list[bytes]:
    return [each.path.read_bytes() for each in queries.stored(study_uid=STUDY)]


@pytest.mark.parametrize("place", ["", f"/series/{SERIES}"])
@pytest.mark.parametrize("syntax", ["", "*", EXPLICIT])
def test_files_go_out_as_they_are_with_their_length(client, place, syntax):
    answer = client.get(ROOT + place, headers=accepting(syntax))
    parts = parts_of(answer)
    assert [content for _, content in parts] == files()
    assert parts[0][0]["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert parts[0][0]["Content-Location"] == f"http://testserver{INSTANCE}"
    head = client.head(ROOT + place, headers=accepting(syntax))
    again = client.get(ROOT + place, headers=accepting(syntax))
    assert head.headers["Content-Length"] == again.headers["Content-Length"]
    assert int(again.headers["Content-Length"]) == len(body_of(again))
    assert head.content == b""


def test_a_retrieval_is_one_event_with_counts(client):
    body_of(client.get(ROOT, headers=accepting("*")))
    client.head(ROOT, headers=accepting("*"))
    (event,) = Event.objects.filter(kind="RETRIEVED")
    assert (event.study_uid, event.detail["instances"], event.detail["series"]) == (STUDY, 2, 1)


@pytest.mark.parametrize("syntax", [IMPLICIT, RLE])
def test_files_are_transcoded_without_loss_to_what_is_asked_for(client, syntax):
    for (headers, content), stored in zip(
        parts_of(client.get(ROOT, headers=accepting(syntax))), files(), strict=True
    ):
        assert headers["Content-Type"].endswith(f"transfer-syntax={syntax}")
        made, before = dcmread(io.BytesIO(content)), dcmread(io.BytesIO(stored))
        assert made.file_meta.TransferSyntaxUID == syntax
        assert (made.pixel_array == before.pixel_array).all()


def test_without_a_syntax_explicit_little_endian_is_given(client, archived):
    archived(image(3, series=f"{STUDY}.7"), syntax=ImplicitVRLittleEndian)
    place = f"{ROOT}/series/{STUDY}.7"
    ((headers, content),) = parts_of(client.get(place, headers=accepting()))
    assert headers["Content-Type"].endswith(EXPLICIT)
    assert dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID == EXPLICIT
    ((headers, _),) = parts_of(client.get(place, headers=accepting("*")))
    assert headers["Content-Type"].endswith(f"={IMPLICIT}")


def test_what_is_stored_in_a_syntax_that_is_taken_is_not_transcoded(client):
    both = accepting(RLE)["Accept"] + "," + accepting(EXPLICIT)["Accept"]
    parts = parts_of(client.get(ROOT, headers={"Accept": both}))
    assert [content for _, content in parts] == files()
    first = accepting(RLE)["Accept"] + "," + accepting(EXPLICIT)["Accept"] + ";q=0.5"
    ((headers, _), _) = parts_of(client.get(ROOT, headers={"Accept": first}))
    assert headers["Content-Type"].endswith(RLE)


RETIRED = "1.2.840.10008.1.2.4.55"


def of_mixed_syntaxes(archived: Any) -> None:
    """Instances that cannot be decoded here beside one that has to be transcoded."""
    archived(image(1, series=f"{STUDY}.8"), syntax=ImplicitVRLittleEndian)
    for number in (2, 3):
        retired = image(number, series=f"{STUDY}.8")
        retired.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
        archived(retired, syntax=RETIRED)


@pytest.mark.parametrize("headers", [{}, accepting()])
def test_what_cannot_be_decoded_goes_as_stored_beside_what_is_transcoded(client, archived, headers):
    of_mixed_syntaxes(archived)
    place = f"{ROOT}/series/{STUDY}.8"
    parts = parts_of(client.get(place, headers=headers))
    ends = sorted(head["Content-Type"].rpartition("=")[2] for head, _ in parts)
    assert ends == [EXPLICIT, RETIRED, RETIRED]
    stored = {row.path.read_bytes() for row in queries.stored(study_uid=STUDY)}
    assert [content in stored for _, content in parts].count(True) == 2


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE])
def test_what_cannot_be_decoded_is_406_where_a_syntax_is_named(client, archived, syntax):
    of_mixed_syntaxes(archived)
    answer = client.get(f"{ROOT}/series/{STUDY}.8", headers=accepting(syntax))
    assert answer.status_code == 406
    assert RETIRED in answer.json()["error"]
    assert "transfer-syntax=*" in answer.json()["hint"]
    assert not Event.objects.filter(kind="RETRIEVED").exists()


def test_a_syntax_that_is_never_written_is_406(client):
    answer = client.get(ROOT, headers=accepting(JPEG_BASELINE))
    assert answer.status_code == 406
    assert JPEG_BASELINE in answer.json()["error"]


def test_one_instance_comes_by_itself_where_asked_and_in_ranges(client):
    whole = files()[0]
    answer = client.get(INSTANCE, headers={"Accept": "application/dicom"})
    assert body_of(answer) == whole
    assert answer.headers["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    etag = answer.headers["ETag"]
    for asked, first, end in (("0-131", 0, 132), ("-10", len(whole) - 10, len(whole))):
        part = client.get(
            INSTANCE, headers={"Accept": "application/dicom", "Range": f"bytes={asked}"}
        )
        assert (part.status_code, body_of(part)) == (206, whole[first:end])
        assert part.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(whole)}"
    beyond = {"Accept": "application/dicom", "Range": f"bytes={len(whole)}-"}
    assert client.get(INSTANCE, headers=beyond).status_code == 416
    stale = {"Accept": "application/dicom", "Range": "bytes=0-1", "If-Range": '"other"'}
    assert client.get(INSTANCE, headers=stale).status_code == 200
    fresh = {"Accept": "application/dicom", "If-None-Match": f'"x", {etag}'}
    same = client.get(INSTANCE, headers=fresh)
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize("place", [ROOT, f"{ROOT}/metadata", f"{INSTANCE}/metadata"])
def test_what_a_client_has_already_is_304(client, place):
    answer = client.get(place)
    body_of(answer)
    same = client.get(place, headers={"If-None-Match": answer.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")


def test_a_file_that_is_gone_breaks_the_transfer(client):
    last = list(queries.stored(study_uid=STUDY))[-1]
    last.path.unlink()
    answer = client.get(ROOT, headers=accepting("*"))
    with pytest.raises(TransferBroken):
        body_of(answer)


@pytest.mark.parametrize(
    ("place", "headers"),
    [
        (ROOT, accepting("*")),
        (INSTANCE, accepting("*")),
        (INSTANCE, {"Accept": "application/dicom"}),
    ],
)
def test_an_archive_that_is_not_there_is_said_before_the_first_byte(client, place, headers):
    for row in queries.stored(study_uid=STUDY):
        row.path.unlink()
    answer = client.get(place, headers=headers)
    assert answer.status_code == 409
    assert "isocenter fsck" in answer.json()["hint"]
    assert not Event.objects.filter(kind="RETRIEVED").exists()


def test_a_file_of_another_size_breaks_the_transfer(client):
    first = next(iter(queries.stored(study_uid=STUDY)))
    first.path.write_bytes(first.path.read_bytes()[:-2])
    with pytest.raises(TransferBroken):
        body_of(client.get(ROOT, headers=accepting("*")))


@pytest.mark.parametrize(
    "place",
    [
        "/dicom-web/studies/1.2.3",
        f"{ROOT}/series/1.2.3",
        f"{ROOT}/series/{SERIES}/instances/1.2.3",
        f"/dicom-web/studies/1.2.3/series/{SERIES}/instances/{SERIES}.1",
        "/dicom-web/studies/1.2.3/metadata",
        "/dicom-web/studies/..%2F..%2Fetc/metadata",
        f"{INSTANCE}/bulkdata/00189999",
        f"{INSTANCE}/bulkdata/../../x",
    ],
)
def test_what_is_not_here_is_404(client, place):
    assert client.get(place).status_code == 404


def test_metadata_are_all_attributes_but_bulk_data(client):
    answer = client.get(f"{ROOT}/metadata")
    assert answer.headers["Content-Type"] == "application/dicom+json"
    first, second = json.loads(body_of(answer))
    assert first["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    assert second["00200013"]["Value"] == [2]
    assert first["7FE00010"]["BulkDataURI"] == f"http://testserver{INSTANCE}/bulkdata/7FE00010"


def test_metadata_come_packed_where_that_is_taken(client):
    plain = body_of(client.get(f"{ROOT}/metadata"))
    packed = client.get(f"{ROOT}/metadata", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(body_of(packed))) == json.loads(plain)
    refused = client.get(f"{ROOT}/metadata", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    body_of(refused)


def test_metadata_come_as_xml(client):
    answer = client.get(f"{ROOT}/metadata", headers=accepting("", "application/dicom+xml"))
    parts = parts_of(answer)
    assert len(parts) == 2
    assert ET.fromstring(parts[0][1]).tag.endswith("NativeDicomModel")


def test_metadata_for_those_who_may_not_know_identify_nobody(client_of):
    researcher = client_of("researcher")
    (first, _) = json.loads(body_of(researcher.get(f"{ROOT}/metadata")))
    assert "00100010" not in first
    assert "00100020" not in first
    assert first["00200013"]["Value"] == [1]


def test_bulk_data_come_in_parts_or_by_themselves(client):
    place = f"{INSTANCE}/bulkdata/7FE00010"
    ((_, content),) = parts_of(client.get(place, headers=accepting("", "application/octet-stream")))
    assert content == image(1).PixelData
    alone = client.get(place, headers={"Accept": "application/octet-stream"})
    assert body_of(alone) == image(1).PixelData
    some = {"Accept": "application/octet-stream", "Range": "bytes=2-5"}
    part = client.get(place, headers=some)
    assert (part.status_code, body_of(part)) == (206, image(1).PixelData[2:6])


def test_bulk_data_that_are_no_pixels_may_name_the_patient(client_of):
    researcher = client_of("researcher")
    assert researcher.get(f"{INSTANCE}/bulkdata/7FE00010").status_code == 200
    assert researcher.get(f"{INSTANCE}/bulkdata/00100010").status_code == 403


def test_pixels_of_a_study_come_as_bytes(client):
    answer = client.get(ROOT, headers=accepting("", "application/octet-stream"))
    assert [content for _, content in parts_of(answer)] == [
        image(1).PixelData,
        image(2).PixelData,
    ]


def test_a_study_comes_as_a_zip(client):
    answer = client.get(ROOT, headers={"Accept": "application/zip"})
    assert body_of(answer)[:2] == b"PK"


def test_the_rights_of_a_file_are_not_those_of_a_picture(client_of):
    student = client_of("student")
    refused = student.get(ROOT)
    assert (refused.status_code, refused.json()["error"][-8:]) == (403, "download")
    assert student.get(f"{ROOT}/metadata").status_code == 200
    assert client_of("researcher").get(INSTANCE).status_code == 403  # it names the patient


def test_deleting_goes_from_instance_to_study(client):
    assert client.delete(f"{ROOT}/series/{SERIES}/instances/1.2.3").status_code == 404
    assert client.delete(INSTANCE).status_code == 204
    assert len(files()) == 1
    assert client.delete(f"{ROOT}/series/{SERIES}/instances/{SERIES}.2").status_code == 204
    assert client.get(f"{ROOT}/metadata").status_code == 404
    assert client.delete(ROOT).status_code == 404
    kinds = set(Event.objects.filter(study_uid=STUDY).values_list("kind", flat=True))
    assert {"INSTANCE_DELETED", "STUDY_DELETED"} <= kinds


@pytest.mark.parametrize("below", ["", f"/series/{SERIES}"], ids=["study", "series"])
def test_what_is_rejected_is_held_and_can_come_back(client, below):
    before = set(files())
    assert client.post(f"{ROOT}{below}/reject/113001^DCM").status_code == 204
    assert files() == []
    assert client.get(f"{ROOT}/metadata").status_code == 404
    held = list(QuarantineItem.objects.filter(study_uid=STUDY, state="held"))
    assert [item.reason.partition(",")[0] for item in held] == [
        "Rejected for Quality Reasons (113001^DCM)"
    ] * 2
    assert Event.objects.filter(kind="REJECTED", study_uid=STUDY).count() == 1
    for item in held:
        retry_quarantined(item.pk, actor="somebody")
    assert set(files()) == before


def test_one_instance_is_rejected_and_the_others_stay(client):
    assert client.post(f"{INSTANCE}/reject/113037^DCM").status_code == 204
    assert len(files()) == 1
    assert client.get(INSTANCE).status_code == 404
    (item,) = QuarantineItem.objects.filter(study_uid=STUDY)
    assert (item.sop_uid, item.state) == (f"{SERIES}.1", "held")


def test_rejecting_needs_a_reason_that_there_is_and_a_study_that_may_go(client):
    from isocenter.apps.archive.services import protect

    assert client.post(f"{ROOT}/reject/1^DCM").status_code == 404
    assert client.post(f"{ROOT}/series/1.2.3/reject/113001^DCM").status_code == 404
    protect(STUDY, True, actor="somebody")
    assert client.post(f"{INSTANCE}/reject/113001^DCM").status_code == 409
    assert len(files()) == 2
    assert not QuarantineItem.objects.exists()


def test_what_is_protected_is_not_deleted(client):
    from isocenter.apps.archive.services import protect

    protect(STUDY, True, actor="somebody")
    for place in (ROOT, f"{ROOT}/series/{SERIES}", INSTANCE):
        assert client.delete(place).status_code == 409
    assert len(files()) == 2


def test_wado_uri_gives_the_file(client):
    query = {
        "requestType": "WADO",
        "studyUID": STUDY,
        "seriesUID": SERIES,
        "objectUID": f"{SERIES}.1",
        "contentType": "application/dicom",
    }
    answer = client.get("/wado", query)
    assert answer.headers["Content-Type"].startswith("application/dicom")
    assert body_of(answer) == files()[0]
    for change in ({"objectUID": ""}, {"requestType": "X"}, {"nonsense": "1"}):
        assert client.get("/wado", query | change).status_code == 400
    assert client.get("/wado", query | {"objectUID": "1.2.3"}).status_code == 404


def test_wado_uri_asks_for_the_rights_of_what_it_gives(client_of):
    query = f"requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={SERIES}.1"
    student = client_of("student")
    assert student.get(f"/wado?{query}&contentType=application/dicom").status_code == 403
    picture = student.get(f"/wado?{query}&contentType=image/png")
    assert (picture.status_code, body_of(picture)[1:4]) == (200, b"PNG")
    part = student.get(f"/wado?{query}&contentType=image/png&region=0,0,0.5,0.5&rows=8&columns=8")
    assert part.status_code == 200
