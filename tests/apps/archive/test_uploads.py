"""Uploads: into the spool, then as everything else; nothing hostile gets further than its name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import Client
from django.urls import reverse

from isocenter.apps.accounts.models import User
from isocenter.apps.archive import uploads
from isocenter.apps.archive.import_sources import ImportBounds
from isocenter.apps.archive.models import Instance, Source, Study
from isocenter.apps.archive.services import Upload, take_upload
from isocenter.apps.audit.models import Event
from isocenter.core.dicom.person_names import person_name
from isocenter.core.errors import SpoolError
from isocenter.runtime.state_files import write_state

from .conftest import MARK, STUDY, Intake, encoded, image, the_study

RTL = "مجلد/صورة.dcm"


def zipped(**files: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


def take(content: bytes | io.BytesIO, name: str = "a.dcm", **more: Any) -> Upload:
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    return take_upload(stream, name, actor="anna", **more)


def uploader(role: str = "researcher") -> Client:
    client = Client()
    client.force_login(User.objects.create(username=f"a-{role}", role=role))
    return client


def post(client: Client, name: str, content: bytes, **fields: str) -> Any:
    file = SimpleUploadedFile(name, content)
    return client.post(reverse("upload-file"), {"file": file, **fields})


def events() -> list[Event]:
    return list(Event.objects.filter(kind="STUDY_UPLOADED").order_by("id"))


def test_an_uploaded_file_is_a_study(intake: Intake) -> None:
    upload = take(encoded(image(1)))
    assert (upload.outcome, upload.instances, upload.study_uids) == ("accepted", 1, (STUDY,))
    assert intake.reader.drain() is not None
    assert the_study().source == Source.objects.get(kind="upload")
    (event,) = events()
    assert (event.study_uid, event.actor) == (STUDY, "anna")
    assert MARK not in str(event.detail)


def test_a_batch_is_one_event_per_study(intake: Intake) -> None:
    for number in range(1, 4):
        take(encoded(image(number)), batch="b1")
    take(encoded(image(4)), batch="b2")
    assert [event.detail["batch"] for event in events()] == ["b1", "b2"]
    intake.reader.drain()
    assert Instance.objects.count() == 4


def test_a_file_without_preamble_and_meta(intake: Intake) -> None:
    content = encoded(image(1))
    bare = content[content.index(b"\x08\x00\x16\x00UI", 200) :]
    assert take(bare).outcome == "accepted"
    intake.reader.drain()
    assert Instance.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "an empty file"), (b"hello, I am a text", "no DICOM file"), (b"\0" * 500, "no DICOM")],
)
def test_what_is_no_dicom_is_skipped(intake: Intake, content: bytes, reason: str) -> None:
    upload = take(content)
    assert upload.outcome == "skipped"
    assert reason in upload.reason
    assert intake.reader.drain() is not None
    assert events() == []


def test_a_zip_says_what_is_in_it(intake: Intake) -> None:
    upload = take(
        zipped(**{"a/1.dcm": encoded(image(1)), "../../2": encoded(image(2)), "notes.txt": b"x"}),
        "study.zip",
    )
    assert (upload.outcome, upload.instances, upload.study_uids) == ("accepted", 2, (STUDY,))
    assert upload.notes == (("notes.txt", "no DICOM file"),)
    intake.reader.drain()
    assert Instance.objects.count() == 2
    assert not list(intake.layout.uploads.iterdir())


def test_a_zip_without_dicom(intake: Intake) -> None:
    upload = take(zipped(**{"1.txt": b"1", "2.txt": b"2"}), "x.zip")
    assert (upload.outcome, upload.reason) == ("skipped", "no DICOM file is in it")


def test_a_zip_of_several_studies_says_how_much_each_got(intake: Intake) -> None:
    other = encoded(image(3, StudyInstanceUID="1.2.3.99"))
    upload = take(zipped(a=encoded(image(1)), b=encoded(image(2)), c=other), "two.zip")
    assert upload.as_json()["instances_of"] == {STUDY: 2, "1.2.3.99": 1}


def test_an_empty_zip(intake: Intake) -> None:
    assert take(zipped(), "x.zip").outcome == "skipped"


def test_a_damaged_zip_fails_without_our_paths(intake: Intake) -> None:
    whole = zipped(a=encoded(image(1))).getvalue()
    for broken in (whole[:-30], whole[: len(whole) // 2]):
        upload = take(broken, "x.zip")
        assert (upload.outcome, upload.notes) == ("failed", ())
        assert upload.reason == "a damaged ZIP: its end is missing"


def test_a_zip_bomb_is_stopped(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        uploads,
        "ImportBounds",
        lambda **more: ImportBounds(ratio_from_bytes=1 << 20, max_ratio=20),
    )
    bomb = zipped(
        **{"good.dcm": encoded(image(1)), "bomb.dcm": encoded(image(2)) + b"\0" * 30_000_000}
    )
    upload = take(bomb, "bomb.zip")
    assert upload.outcome == "failed"
    assert "unpacks to more than 20 times its size" in upload.reason
    assert "what came before" in upload.reason
    intake.reader.drain()
    assert Instance.objects.count() == 1


def test_names_are_made_harmless() -> None:
    assert uploads.harmless("../../etc/passwd") == "../../etc/passwd"  # shown, never a path
    assert uploads.harmless("a\u202egpj.exe\x00\n") == "agpj.exe"
    assert uploads.harmless("") == "a file without a name"
    assert uploads.harmless(RTL) == RTL
    assert len(uploads.harmless("x" * 5000)) == 512


def test_nothing_is_taken_in_a_pause(intake: Intake) -> None:
    write_state(intake.layout.run / "receive-policy.json", {"paused": "the disk is full"})
    with pytest.raises(SpoolError, match="the disk is full"):
        take(encoded(image(1)))
    client = uploader()
    answer = post(client, "a.dcm", encoded(image(1)))
    assert answer.status_code == 503
    assert "the disk is full" in answer.json()["error"]
    assert b"Nothing is taken in now" in client.get(reverse("uploads")).content


def test_a_large_file_is_streamed(intake: Intake, settings: Any) -> None:
    """Through a temporary file, as Django hands it over."""
    settings.FILE_UPLOAD_TEMP_DIR = str(intake.layout.uploads)
    content = encoded(image(1, PixelData=bytes(9 << 20), Rows=3072, Columns=1536))
    file = TemporaryUploadedFile("big.dcm", "application/dicom", len(content), None)
    file.write(content)
    file.seek(0)
    assert take_upload(file, "big.dcm", actor="anna").study_uids == (STUDY,)  # type: ignore[arg-type]
    intake.reader.drain()
    assert Instance.objects.get().size == len(content)


def test_real_files(intake: Intake, shared_data: Path) -> None:
    folder = shared_data / "rt_phantom_rtutils"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    outcomes = {path.name: take(path.read_bytes(), path.name).outcome for path in files}
    assert set(outcomes.values()) <= {"accepted", "skipped"}
    intake.reader.drain()
    assert Instance.objects.count() >= 1


def test_malformed_files_never_break_it(intake: Intake, shared_data: Path) -> None:
    for path in sorted((shared_data / "malformed").rglob("*"))[:60]:
        if path.is_file():
            assert take(path.read_bytes(), path.name).outcome in ("accepted", "skipped", "failed")
    assert intake.reader.drain() is not None


def test_the_page_posts_one_file(intake: Intake) -> None:
    answer = post(uploader(), "1.dcm", encoded(image(1)), path=RTL, batch="b")
    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    assert item == {
        "name": RTL,
        "outcome": "accepted",
        "instances": 1,
        "study_uid": STUDY,
        "study_uids": [STUDY],
        "instances_of": {STUDY: 1},
        "reason": "",
        "notes": [],
    }


def test_small_files_come_together(intake: Intake) -> None:
    files = [SimpleUploadedFile("same", encoded(image(n))) for n in range(3)]
    data = {"file": [*files, SimpleUploadedFile("x", b"no")], "path": ["a/1", "b/1", "c/1"]}
    items = uploader().post(reverse("upload-file"), data).json()["items"]
    assert [(item["name"], item["outcome"]) for item in items] == [
        ("a/1", "accepted"),
        ("b/1", "accepted"),
        ("c/1", "accepted"),
        ("x", "skipped"),
    ]


def test_a_post_without_a_file_says_so(intake: Intake) -> None:
    assert uploader().post(reverse("upload-file")).status_code == 400


def test_a_post_needs_the_right_and_the_token(intake: Intake) -> None:
    assert post(uploader("student"), "a", encoded(image(1))).status_code == 403
    assert post(Client(), "a", encoded(image(1))).status_code in (302, 401)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create(username="s", role="staff"))
    assert post(strict, "a", encoded(image(1))).status_code == 403


def test_studies_are_told_as_the_index_has_them(intake: Intake) -> None:
    client = uploader("physician")
    url = reverse("uploaded-studies") + f"?uid={STUDY}&uid=1.2.3"
    assert client.get(url).json() == {"studies": []}
    intake.take(image(1))
    (found,) = client.get(url).json()["studies"]
    assert (found["study_uid"], found["state"], found["instances"]) == (STUDY, "receiving", 1)
    assert MARK in found["patient"]
    assert found["patient"] == person_name(Study.objects.get().patient_name)
    assert found["url"] == f"/studies/{STUDY}/"
    (hidden,) = uploader().get(url).json()["studies"]
    assert MARK not in str(hidden)
