"""Studies and series as ZIP: what is in them, what readers say, and what is never sent."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.test import Client
from django.urls import reverse
from pydicom.fileset import FileInstance, FileSet

from isocenter.apps.accounts.models import User
from isocenter.apps.archive.models import Instance, Series, Study
from isocenter.apps.archive.study_zip import (
    ArchiveBroken,
    ZipOptions,
    zip_length,
    zip_pieces,
    zip_plan,
)
from isocenter.apps.audit.models import Event
from isocenter.core.errors import NotFound, Refused

from .conftest import MARK, SERIES, STUDY, Intake, image, structure_set

# The format itself says PBKDF2 with SHA-1 and 1000 rounds; the library says that this is little.
pytestmark = pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")

Look = Callable[[str], Client]
PASSWORD = "correct horse 9"


@pytest.fixture
def as_role(db: None) -> Look:
    """A browser in which somebody of a role is signed in."""

    def make(role: str) -> Client:
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def study(intake: Intake) -> Study:
    """Three slices and a structure set that names them."""
    intake.take(image(1), image(2), image(3), structure_set())
    return Study.objects.get()


def packed(options: ZipOptions | None = None, series_uid: str = "") -> bytes:
    return b"".join(zip_pieces(zip_plan(STUDY, series_uid), options))


def of(answer: Any) -> bytes:
    content: Iterable[bytes] = answer.streaming_content
    return b"".join(content)


def unzip(content: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def members_of(folder: Path) -> list[FileInstance]:
    """As pydicom understands the DICOMDIR."""
    found = FileSet(folder / "DICOMDIR")
    found._stage["t"].cleanup()  # it leaves that to chance
    return list(found)


def program(name: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"not installed: {name} (make peers)")
    return name


def test_the_files_are_as_they_are_stored(study: Study, intake: Intake) -> None:
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        assert archive.testzip() is None
        found = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    stored = {row.path: row for row in Instance.objects.all()}
    assert found == {path: (intake.layout.archive / path).read_bytes() for path in stored}


@pytest.mark.parametrize("password", ["", PASSWORD])
def test_its_length_is_known_before(study: Study, password: str) -> None:
    options = ZipOptions(password=password)
    assert zip_length(zip_plan(STUDY), options) == len(packed(options))
    assert zip_length(zip_plan(STUDY), ZipOptions(dicomdir=True)) is None


def test_unzip_finds_nothing_wrong(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.zip"
    path.write_bytes(packed())
    done = subprocess.run(
        [program("unzip"), "-t", path], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "No errors detected" in done.stdout


def test_a_large_file_is_read_in_pieces(
    study: Study, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checksum stands in front of it all the same."""
    whole = packed()
    monkeypatch.setattr("isocenter.apps.archive.study_zip._AT_ONCE", 0)
    assert packed() == whole


def test_a_series_alone(study: Study, as_role: Look) -> None:
    url = reverse("series-download", args=[STUDY, SERIES])
    answer = as_role("physician").get(url)
    content = of(answer)
    assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 3
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{SERIES}.zip"'
    (event,) = Event.objects.filter(kind="STUDY_DOWNLOADED")
    assert (event.detail["what"], event.detail["instances"]) == ("series", 3)
    assert as_role("physician").get(url.replace(SERIES, "1.2.3")).status_code == 404


def test_who_may_download(study: Study, as_role: Look) -> None:
    for url in (
        reverse("study-download", args=[STUDY]),
        reverse("series-download", args=[STUDY, SERIES]),
    ):
        for role in ("student", "researcher"):
            assert as_role(role).get(url).status_code == 403
            assert as_role(role).post(url, {"password": PASSWORD}).status_code == 403
        assert as_role("physician").head(url).headers["Content-Length"]
    assert not Event.objects.filter(kind="STUDY_DOWNLOADED").exists()


def test_nothing_is_sent_of_a_study_that_is_not_whole(
    study: Study, intake: Intake, as_role: Look
) -> None:
    first, second = Instance.objects.order_by("sop_uid")[:2]
    (intake.layout.archive / first.path).unlink()
    with (intake.layout.archive / second.path).open("ab") as file:
        file.write(b"xx")
    with pytest.raises(Refused, match="2 of 4 files"):
        zip_plan(STUDY)
    answer = as_role("physician").get(reverse("study-download", args=[STUDY]))
    assert answer.status_code == 400
    assert "2 of 4 files" in answer.content.decode()


@pytest.mark.parametrize("change", ["gone", "shorter", "other"])
@pytest.mark.parametrize("at_once", [0, 1 << 22])
def test_what_goes_meanwhile_breaks_the_archive(
    study: Study,
    intake: Intake,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    at_once: int,
) -> None:
    """It ends before its central directory, and what is raised names no file."""
    monkeypatch.setattr("isocenter.apps.archive.study_zip._AT_ONCE", at_once)
    monkeypatch.setattr("isocenter.apps.archive.study_zip._PIECE", 64)
    plan = zip_plan(STUDY)
    pieces = zip_pieces(plan)
    sent = [next(pieces)]
    victim = plan.files[-1].path
    content = victim.read_bytes()
    if change == "gone":
        victim.unlink()
    elif change == "shorter":
        victim.write_bytes(content[:-10])
    else:
        plan.files[-1] = plan.files[-1].__class__(
            *(getattr(plan.files[-1], name) for name in ("path", "name")),
            len(content) + 1,
            *(
                getattr(plan.files[-1], name)
                for name in plan.files[-1].__slots__  # as if the file had grown and shrunk
                if name not in ("path", "name", "size")
            ),
        )
    with pytest.raises(ArchiveBroken) as raised:
        sent.extend(pieces)
    assert str(victim) not in str(raised.value)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(sent)))


def test_unknown_studies(db: None) -> None:
    with pytest.raises(NotFound):
        zip_plan("1.2.3")


@pytest.mark.parametrize("password", ["short", "x" * 129, "pässwörter", "tab\tinside it", " " * 8])
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(Refused):
        ZipOptions(password=password)


def test_a_password_never_shows() -> None:
    assert PASSWORD not in repr(ZipOptions(password=PASSWORD))


def test_encrypted_as_winzip_does_it(study: Study, as_role: Look, tmp_path: Path) -> None:
    """AES-256 by AE-2, read by its own implementation here: zipfile knows only that it is there."""
    url = reverse("study-download", args=[STUDY])
    answer = as_role("physician").post(url, {"password": PASSWORD})
    content = of(answer)
    assert answer.headers["Content-Length"] == str(len(content))
    archive = zipfile.ZipFile(io.BytesIO(content))
    plan = zip_plan(STUDY)
    for entry, file in zip(archive.infolist(), plan.files, strict=True):
        assert entry.compress_type == 99
        assert entry.flag_bits & 1
        with pytest.raises((NotImplementedError, RuntimeError)):
            archive.read(entry, b"wrong")
        assert decrypted(content, entry, PASSWORD) == file.path.read_bytes()
        with pytest.raises(ValueError, match="password"):
            decrypted(content, entry, "wrong password")
    assert MARK.encode() not in content
    (event,) = Event.objects.filter(kind="STUDY_DOWNLOADED")
    assert event.detail["encrypted"] is True
    assert PASSWORD not in str(event.detail)


@pytest.mark.parametrize("password", ["", PASSWORD])
def test_a_password_in_an_address_gives_no_archive(
    study: Study, as_role: Look, password: str
) -> None:
    url = reverse("study-download", args=[STUDY])
    answer = as_role("physician").get(url, {"password": password})
    assert answer.status_code == 400
    assert PASSWORD.encode() not in answer.content


def decrypted(content: bytes, entry: zipfile.ZipInfo, password: str) -> bytes:
    """WinZip's AE-2 with AES-256, by its specification, with `cryptography`."""
    from cryptography.hazmat.primitives import hashes, hmac
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    names = int.from_bytes(content[entry.header_offset + 26 :][:2], "little")
    extra = int.from_bytes(content[entry.header_offset + 28 :][:2], "little")
    start = entry.header_offset + 30 + names + extra
    body = content[start : start + entry.compress_size]
    salt, check, data, code = body[:16], body[16:18], body[18:-10], body[-10:]
    keys = PBKDF2HMAC(hashes.SHA1(), 66, salt, 1000).derive(password.encode())
    if keys[64:] != check:
        raise ValueError("the password is wrong")
    authentic = hmac.HMAC(keys[32:64], hashes.SHA1())
    authentic.update(data)
    assert authentic.finalize()[:10] == code
    block = Cipher(algorithms.AES(keys[:32]), modes.ECB()).encryptor()
    stream = b"".join(
        block.update((number + 1).to_bytes(16, "little")) for number in range(len(data) // 16 + 1)
    )
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))


def test_a_dicomdir_names_every_file(study: Study, as_role: Look, tmp_path: Path) -> None:
    url = reverse("study-download", args=[STUDY])
    folder = unzip(of(as_role("physician").get(url, {"dicomdir": "1"})), tmp_path / "medium")
    found = members_of(folder)
    assert [(one.SOPInstanceUID, Path(one.path).is_file()) for one in found] == [
        (file.sop_uid, True) for file in zip_plan(STUDY).files
    ]
    for one in found:
        assert one.load().SOPInstanceUID == one.SOPInstanceUID
    names = [path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()]
    for name in names:
        assert len(name) <= 8
        assert all(len(part) <= 8 and part.replace("_", "").isalnum() for part in name)
        assert all(part == part.upper() and "." not in part for part in name)
    kinds = [
        record.DirectoryRecordType
        for record in pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    ]
    assert sorted(kinds) == sorted(
        ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE", "IMAGE", "SERIES", "RT STRUCTURE SET"]
    )


def test_dcmtk_reads_and_adds_to_the_dicomdir(study: Study, tmp_path: Path) -> None:
    folder = unzip(packed(ZipOptions(dicomdir=True)), tmp_path / "medium")
    dump = subprocess.run(
        [program("dcmdump"), "-q", folder / "DICOMDIR"], check=False, capture_output=True, text=True
    )
    assert dump.returncode == 0, dump.stderr
    assert dump.stdout.count("ReferencedFileID") == 4
    more = folder / "MORE"
    ds = pydicom.dcmread(folder / "DICOM" / "SE000001" / "IM000001")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.9"
    ds.InstanceNumber = 99
    ds.save_as(more)
    added = subprocess.run(
        [program("dcmmkdir"), "+A", "-W", "+I", "MORE"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert added.returncode == 0, added.stdout + added.stderr
    assert len(members_of(folder)) == 5


def test_a_dicomdir_of_odd_headers(intake: Intake, tmp_path: Path) -> None:
    """What it must have is made up; letters of every alphabet are kept."""
    first, second = image(1), image(2)
    intake.take(first, second)
    Study.objects.update(
        patient_id="", patient_name="Люкceмбypг^Юрий", study_date="", study_time="", study_id=""
    )
    Series.objects.update(series_number=None)
    Instance.objects.update(instance_number=None)
    folder = unzip(packed(ZipOptions(dicomdir=True)), tmp_path / "medium")
    records = pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    assert str(records[0].PatientName) == "Люкceмбypг^Юрий"
    assert (records[0].PatientID, records[0].SpecificCharacterSet) == ("UNKNOWN", "ISO_IR 192")
    assert (records[1].StudyDate, records[1].StudyID) == ("19000101", "1")
    assert [record.InstanceNumber for record in records[3:]] == [1, 2]


def test_a_dicomdir_of_every_kind_of_object(
    intake: Intake, shared_data: Path, tmp_path: Path
) -> None:
    """Each study of the reference data makes a DICOMDIR that pydicom and DCMTK can read."""
    for folder in ("sr", "seg_sr_highdicom", "rt_plan_dose", "waveform", "parametric_map"):
        for path in sorted((shared_data / folder).rglob("*.dcm"))[:12]:
            intake.take(path.read_bytes())
    kinds: set[str] = set()
    for number, uid in enumerate(Study.objects.values_list("study_uid", flat=True)):
        pieces = zip_pieces(zip_plan(uid), ZipOptions(dicomdir=True))
        folder = unzip(b"".join(pieces), tmp_path / str(number))
        assert len(members_of(folder)) == Instance.objects.filter(study__study_uid=uid).count()
        kinds |= {
            record.DirectoryRecordType
            for record in pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
        }
        if shutil.which("dcmdump"):
            subprocess.run(["dcmdump", "-q", folder / "DICOMDIR"], check=True, capture_output=True)
    assert {"SR DOCUMENT", "RT PLAN", "RT DOSE", "WAVEFORM", "IMAGE"} <= kinds
