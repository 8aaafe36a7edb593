"""STOW-RS: what is stored, what is answered, and what leaves nothing behind."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pydicom import Dataset

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.apps.audit.models import Event
from isocenter.apps.dicomweb.stow import places
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import SpoolError
from isocenter.core.network.multipart import encode
from isocenter.core.phantoms import head_phantom
from isocenter.runtime.layout import Layout
from isocenter.runtime.state_files import write_state

STUDIES = "/dicom-web/studies"
PART = {"Content-Type": "application/dicom"}
TYPE = 'multipart/related; type="application/dicom"; boundary=limit'


@pytest.fixture
def image() -> Dataset:
    return head_phantom("stow", slices=1, rows=16, columns=16, spacing_mm=9.0).images[0]


@pytest.fixture
def part10(image: Dataset, tmp_path: Path) -> Callable[..., bytes]:
    """The bytes of a file with other values than the phantom's."""

    def make(number: int = 1, **values: Any) -> bytes:
        image.SOPInstanceUID = f"1.2.3.{number}"
        for keyword, value in values.items():
            setattr(image, keyword, value)
        path = tmp_path / f"{number}.dcm"
        write_part10(image, path)
        return path.read_bytes()

    return make


def token_of(role: str) -> dict[str, str]:
    user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
    return {"Authorization": f"Bearer {create_token(user, ['all']).text}"}


@pytest.fixture
def post(db: None) -> Callable[..., Any]:
    """A STOW request of somebody who may upload."""
    headers = token_of("researcher")

    def ask(
        parts: Sequence[bytes] = (),
        *,
        path: str = STUDIES,
        body: bytes | None = None,
        content_type: str = TYPE,
        **more: str,
    ) -> HttpResponse:
        given = encode([(PART, part) for part in parts], "limit") if body is None else body
        return Client().generic(
            "POST", path, given, content_type=content_type, headers={**headers, **more}
        )

    return ask


def stored(layout: Layout) -> dict[str, bytes]:
    """What ingest can read, by SOP Instance UID."""
    reader = SpoolReader(layout.spool)
    return {
        record.meta["sop_instance_uid"]: record.read()
        for segment in reader.segments()
        for record in reader.records(segment)
    }


def uids(answer: HttpResponse, tag: str) -> list[str]:
    items = json.loads(answer.content).get(tag, {}).get("Value", [])
    return [item["00081155"]["Value"][0] for item in items]


def reasons(answer: HttpResponse, tag: str = "00081198") -> list[int]:
    items = json.loads(answer.content).get(tag, {}).get("Value", [])
    return [item["00081197"]["Value"][0] for item in items]


# -- what is stored ----------------------------------------------------------------------------


def test_instances_are_stored_byte_for_byte(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout, image: Dataset
) -> None:
    files = [part10(1), part10(2) + b"  \r\n \r\n", part10(3) + b"\r\n--limi"]
    answer = post(files)
    assert answer.status_code == 200, answer.content
    assert list(stored(installation).values()) == files
    assert answer.headers["Content-Type"] == "application/dicom+json"
    assert uids(answer, "00081199") == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    document = json.loads(answer.content)
    study = f"http://testserver/dicom-web/studies/{image.StudyInstanceUID}"
    assert document["00081190"]["Value"] == [study]
    first = document["00081199"]["Value"][0]
    assert first["00081150"]["Value"] == [image.SOPClassUID]
    place = f"{study}/series/{image.SeriesInstanceUID}/instances/1.2.3.1"
    assert first["00081190"]["Value"] == [place]


def test_the_account_is_the_source(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    assert post([part10(1)]).status_code == 200
    reader = SpoolReader(installation.spool)
    (record,) = [r for s in reader.segments() for r in reader.records(s)]
    assert (record.meta["kind"], record.meta["address"]) == ("upload", "a-researcher")


def test_an_event_per_study(
    post: Callable[..., Any], part10: Callable[..., bytes], image: Dataset
) -> None:
    post([part10(1), part10(2), b"no DICOM"])
    study, failed = Event.objects.filter(kind="STOWED").order_by("pk")
    assert (study.study_uid, study.actor) == (image.StudyInstanceUID, "a-researcher")
    assert study.detail == {"instances": 2}
    assert failed.detail == {"failed": 1, "reasons": ["C000"]}


def test_one_instance_without_anything_around_it(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    file = part10(1)
    assert post(body=file, content_type="application/dicom").status_code == 200
    assert stored(installation) == {"1.2.3.1": file}


def test_a_data_set_without_file_header_gets_one(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    file = part10(1)
    length = int.from_bytes(file[140:144], "little")
    assert post([file[144 + length :]]).status_code == 200
    kept = stored(installation)["1.2.3.1"]
    assert kept[128:132] == b"DICM"
    assert kept.endswith(file[144 + length :])


def test_some_fail(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    write_state(
        installation.run / "receive-policy.json",
        {"denied_sop_classes": ["1.2.840.10008.5.1.4.1.1.7"]},
    )
    files = [part10(1), part10(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), b"no DICOM"]
    answer = post(files)
    assert answer.status_code == 202
    assert uids(answer, "00081199") == ["1.2.3.1"]
    assert uids(answer, "00081198") == ["1.2.3.2"]
    assert reasons(answer) == [0x0122]
    assert reasons(answer, "0008119A") == [0xC000]
    assert "deny list" in answer.headers["Warning"]
    assert list(stored(installation)) == ["1.2.3.1"]


def test_all_fail(post: Callable[..., Any], installation: Layout) -> None:
    answer = post([b"no DICOM", b""])
    assert answer.status_code == 409
    assert reasons(answer, "0008119A") == [0xC000, 0xC000]
    assert stored(installation) == {}


def test_another_study_than_the_address_names(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout, image: Dataset
) -> None:
    right = part10(1)
    wrong = part10(2, StudyInstanceUID="1.2.99")
    answer = post([wrong], path=f"{STUDIES}/1.2.98")
    assert (answer.status_code, reasons(answer)) == (409, [0xA900])
    assert post([right], path=f"{STUDIES}/1.2.99").status_code == 409
    assert stored(installation) == {}
    assert post([wrong], path=f"{STUDIES}/1.2.99").status_code == 200


def test_an_instance_without_a_study_is_taken_with_a_warning(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    answer = post([part10(1, StudyInstanceUID="")])
    assert answer.status_code == 202
    (item,) = json.loads(answer.content)["00081199"]["Value"]
    assert item["00081196"]["Value"] == [0xB007]
    assert list(stored(installation)) == ["1.2.3.1"]


def test_a_file_header_of_another_class(
    post: Callable[..., Any], part10: Callable[..., bytes]
) -> None:
    old, new = b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.4\0"
    answer = post([part10(1).replace(old, new, 1)])
    assert (answer.status_code, reasons(answer)) == (409, [0xA900])


def test_a_directory_is_no_instance(post: Callable[..., Any], part10: Callable[..., bytes]) -> None:
    answer = post([part10(1, SOPClassUID="1.2.840.10008.1.3.10")])
    assert (answer.status_code, reasons(answer)) == (409, [0x0122])


def test_the_answer_as_xml(post: Callable[..., Any], part10: Callable[..., bytes]) -> None:
    answer = post([part10(1), b"no DICOM"], Accept="application/dicom+xml")
    assert answer.headers["Content-Type"] == "application/dicom+xml"
    space = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    root = ET.fromstring(answer.content)
    found = {each.get("keyword"): each for each in root.iter(f"{space}DicomAttribute")}
    assert found["ReferencedSOPInstanceUID"][0].text == "1.2.3.1"
    assert found["FailureReason"][0].text == str(0xC000)


@pytest.mark.parametrize("cut", [64 << 10, (64 << 10) + 1, 100_000, 3 << 20])
def test_uids_that_come_late(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout, cut: int
) -> None:
    """Something long stands before them."""
    image = part10(1)
    at = image.index(b"\x10\x00\x10\x00PN")
    long = b"\x09\x00\x10\x00LO\x04\x00ABCD" + b"\x09\x00\x01\x10UN\0\0" + cut.to_bytes(4, "little")
    file = image[:at] + long + bytes(cut) + image[at:]
    answer = post([file])
    assert answer.status_code == (200 if cut < 2 << 20 else 409), answer.content
    if cut < 2 << 20:
        assert stored(installation)["1.2.3.1"] == file


# -- what leaves nothing ------------------------------------------------------------------------


def test_a_body_that_is_cut_off_leaves_nothing(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    body = encode([(PART, part10(1)), (PART, part10(2))], "limit")
    for length in (len(body) - 1, len(body) - 12, len(body) // 2, len(body) - 60, 30):
        answer = post(body=body[:length])
        assert answer.status_code == (200 if length == len(body) - 2 else 400), length
        assert stored(installation) == {}
    assert Event.objects.filter(kind="STOWED").count() == 0


def test_a_failing_disk_fails_every_instance(
    post: Callable[..., Any],
    part10: Callable[..., bytes],
    installation: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: object) -> None:
        raise SpoolError("the spool cannot be written")

    monkeypatch.setattr("isocenter.apps.archive.spool.batch.SpoolBatch.commit", fail)
    answer = post([part10(1)])
    assert (answer.status_code, reasons(answer)) == (507, [0xA700])
    assert stored(installation) == {}


def test_a_disk_that_fills_up_meanwhile(
    post: Callable[..., Any],
    part10: Callable[..., bytes],
    installation: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = iter([True, True, False, False, False])
    monkeypatch.setattr(Spool, "has_room", lambda self: next(room))
    answer = post([part10(1), part10(2), part10(3)])
    assert (answer.status_code, reasons(answer)) == (202, [0xA700, 0xA700])
    assert list(stored(installation)) == ["1.2.3.1"]


def test_no_room_at_the_beginning(
    post: Callable[..., Any], part10: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isocenter.apps.archive.services.has_room_for", lambda size: False)
    assert post([part10(1)]).status_code == 507


def test_a_pause(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    write_state(installation.run / "receive-policy.json", {"paused": "the disk is changed"})
    answer = post([part10(1)])
    assert answer.status_code == 503
    assert "the disk is changed" in json.loads(answer.content)["error"]
    assert answer.headers["Retry-After"]
    assert stored(installation) == {}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data; boundary=limit", 415),
        ("application/json", 415),
        ("", 415),
        ('multipart/related; type="image/png"; boundary=limit', 415),
        ('multipart/related; type="application/dicom+xml"; boundary=limit', 415),
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary="bad\\"boundary"', 400),
        ('multipart/related; type="application/dicom"; boundary=a; boundary=b', 400),
        ("multipart/related; boundary=limit", 200),
        ("multipart/related; type=application/dicom; boundary=limit", 200),
    ],
)
def test_content_types(
    post: Callable[..., Any], part10: Callable[..., bytes], content_type: str, status: int
) -> None:
    answer = post([part10(1)], content_type=content_type)
    assert answer.status_code == status, answer.content


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_no_content_encoding(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout, coding: str
) -> None:
    answer = post([part10(1)], **{"Content-Encoding": coding})
    assert answer.status_code == 415
    assert stored(installation) == {}


def test_an_answer_that_there_is_not(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    assert post([part10(1)], Accept="text/html").status_code == 406
    assert stored(installation) == {}


def test_a_part_of_another_kind(
    post: Callable[..., Any], part10: Callable[..., bytes], installation: Layout
) -> None:
    body = encode(
        [
            ({"Content-Type": "image/png"}, part10(1)),
            ({"Content-Type": "application/dicom", "Content-Encoding": "gzip"}, part10(2)),
            ({}, part10(3)),
        ],
        "limit",
    )
    answer = post(body=body)
    assert answer.status_code == 202
    assert list(stored(installation)) == ["1.2.3.3"]


def test_too_long(
    post: Callable[..., Any],
    part10: Callable[..., bytes],
    installation: Layout,
    settings: Any,
) -> None:
    limits = settings.ISOCENTER.limits.model_copy(update={"max_instance_mb": 1})
    settings.ISOCENTER = settings.ISOCENTER.model_copy(update={"limits": limits})
    answer = post([part10(1), part10(2) + bytes(2 << 20)])
    assert answer.status_code == 413
    assert stored(installation) == {}


# -- rights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [("student", 403), ("researcher", 200)])
def test_the_right_to_upload(
    post: Callable[..., Any], part10: Callable[..., bytes], role: str, status: int
) -> None:
    assert post([part10(1)], **token_of(role)).status_code == status


def test_nobody(part10: Callable[..., bytes], db: None) -> None:
    body = encode([(PART, part10(1))], "limit")
    answer = Client().generic("POST", STUDIES, body, content_type=TYPE)
    assert answer.status_code == 401


def test_a_session_proves_where_its_request_comes_from(
    part10: Callable[..., bytes], db: None, installation: Layout
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create(username="s", role="staff"))
    body = encode([(PART, part10(1))], "limit")
    assert client.generic("POST", STUDIES, body, content_type=TYPE).status_code == 403
    assert stored(installation) == {}


def test_no_more_than_some_at_once(post: Callable[..., Any], part10: Callable[..., bytes]) -> None:
    with ExitStack() as stack:
        for account in range(places.AT_ONCE):
            stack.enter_context(places.place_for(-account))
        refused = post([part10(1)])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert post([part10(1)]).status_code == 200
    assert post([part10(1)]).status_code == 200


def test_one_account_has_half_of_the_places(
    post: Callable[..., Any], part10: Callable[..., bytes]
) -> None:
    account = User.objects.get().pk
    with ExitStack() as stack:
        for _ in range(places.OF_ONE_ACCOUNT):
            stack.enter_context(places.place_for(account))
        refused = post([part10(1)])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        with places.place_for(-account):
            pass
    assert post([part10(1)]).status_code == 200


def test_reading_breaks_off(
    post: Callable[..., Any],
    part10: Callable[..., bytes],
    installation: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from isocenter.apps.dicomweb.stow import views

    def broken(request: object, body: Any) -> None:
        body.feed(encode([(PART, part10(1))], "limit")[:-20])
        raise views.UnreadablePostError from io.UnsupportedOperation()

    monkeypatch.setattr(views, "_read", broken)
    assert post([part10(2)]).status_code == 400
    assert stored(installation) == {}
