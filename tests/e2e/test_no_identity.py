"""No patient in any log: the whole path with marked identities, and every line searched.

Whatever tells who a patient is carries a mark: names, numbers, addresses, free texts, the birth
date. A platform that logs at DEBUG receives, rejects, quarantines, runs, delivers, fails, imports,
is searched and looked at; then no log, event, journal or address may have a mark.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import psycopg
import pytest
from pydicom.dataset import Dataset

from isocenter.core.network.requestor import Peer, send
from isocenter.core.phantoms import head_phantom
from stand import seed

MARK = "ZZSECRETZZ"
BIRTH_DATE = "19131217"  # nobody else's
SIZE = {"slices": 5, "rows": 48, "columns": 64, "spacing_mm": 5.0, "slice_distance_mm": 30.0}
SETTINGS = {
    "logs": {"level": "DEBUG"},
    "completion": {"debounce_s": 1, "min_instances": 2, "force_complete_s": 5},
    "delivery": {"attempts": 1, "first_wait_s": 0.5, "max_wait_s": 1, "timeout_s": 2},
    "workers": {"processes": 1},
    "receiver": {"allowed_calling_ae_titles": ["SENDER"]},
}
_PERSONS = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ReferringPhysicianName",
    "RequestingPhysician",
    "PerformingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "ResponsiblePerson",
)
_TEXTS = (
    "PatientID",
    "IssuerOfPatientID",
    "AccessionNumber",
    "StudyID",
    "AdmissionID",
    "MedicalRecordLocator",
    "PatientTelephoneNumbers",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "Occupation",
    "EthnicGroup",
    "MilitaryRank",
    "PatientReligiousPreference",
    "CurrentPatientLocation",
    "PatientInsurancePlanCodeSequence",
)
_LONG_TEXTS = (
    "PatientAddress",
    "PatientComments",
    "AdditionalPatientHistory",
    "ImageComments",
    "InstitutionAddress",
    "StudyComments",
)


def mark(ds: Dataset) -> Dataset:
    """Put the mark wherever it may say who the patient is."""
    for number, keyword in enumerate(_PERSONS):
        setattr(ds, keyword, f"{MARK}^P{number}")
    for keyword in _TEXTS:
        if not keyword.endswith("Sequence"):
            setattr(ds, keyword, f"{MARK}1")
    for keyword in _LONG_TEXTS:
        setattr(ds, keyword, f"what {MARK} said")
    ds.PatientBirthDate = BIRTH_DATE
    other = Dataset()
    other.PatientID = f"{MARK}2"
    ds.OtherPatientIDsSequence = [other]
    return ds


def study(folder: Path, key: str) -> list[Path]:
    phantom = head_phantom(key, **SIZE)
    for ds in (*phantom.images, phantom.structure_set):
        mark(ds)
    return phantom.write(folder / key)


def routes(folder: Path) -> str:
    step = {"step": "contours", "with": {"formats": ["overlay", "seg", "preview"]}}
    document = {
        "nodes": [
            {"name": "out", "kind": "folder", "folder": str(folder / "out")},
            {"name": "down", "kind": "dimse", "ae_title": "DOWN", "host": "127.0.0.1", "port": 1},
        ],
        "pipelines": [
            {"name": "overlay", "steps": [step, {"step": "burn_in"}, {"step": "deliver"}]},
            {
                "name": "fails",
                "steps": [{"step": "select", "with": {"requires": ["NM"]}}, {"step": "deliver"}],
            },
        ],
        "routes": [
            {
                "name": "overlay",
                "condition": f'StudyDescription ~ "{MARK}"',
                "pipeline": "overlay",
                "destinations": ["out", "down"],
            },
            {"name": "fails", "pipeline": "fails", "destinations": ["out"]},
        ],
    }
    return json.dumps(document)  # JSON is YAML


def receive(platform: Any, folder: Path) -> str:
    """What comes in by DIMSE and import: good, again, changed, broken, and from a stranger."""
    files = study(folder, "one")
    peer = Peer("127.0.0.1", platform.dicom_port, "ISOCENTER", "SENDER", timeout_s=60)
    assert all(result.status == 0 for result in send(files, peer).results)
    changed = head_phantom("one", **SIZE).images[0]
    mark(changed).PixelData = bytes(len(changed.PixelData))
    changed.PatientID = f"{MARK}-OTHER"
    changed.save_as(folder / "changed.dcm", enforce_file_format=True)
    changed.SOPInstanceUID += ".1"  # another patient in the same study
    changed.file_meta.MediaStorageSOPInstanceUID = changed.SOPInstanceUID
    changed.save_as(folder / "stray.dcm", enforce_file_format=True)
    send([folder / "changed.dcm", folder / "stray.dcm", files[1]], peer)
    whole = files[2].read_bytes()
    at = whole.index(MARK.encode())
    (folder / "broken").mkdir()
    for number, content in enumerate((whole[: len(whole) // 2], whole[: at + 200])):
        (folder / "broken" / f"{number}.dcm").write_bytes(content)
    (folder / "broken" / "odd.dcm").write_bytes(whole.replace(b"SECRETZZ^P0", b"SECRETZZ^\xff\x00"))
    stranger = Peer("127.0.0.1", platform.dicom_port, "ISOCENTER", "STRANGER")
    assert all(result.status is None for result in send(files[:1], stranger).results)
    platform.cli("import", folder / "broken", check=False)
    study(folder, "two")
    platform.cli("import", folder / "two")
    return head_phantom("one", **SIZE).study_uid


def use(platform: Any, study_uid: str) -> None:
    """What people do at a prompt."""
    for arguments in (
        ("studies", "list", "--search", MARK),
        ("studies", "show", study_uid),
        ("studies", "complete", study_uid),
        ("studies", "protect", study_uid),
        ("studies", "delete", study_uid, "--yes"),
        ("studies", "unprotect", study_uid),
        ("routes", "test", "--study", study_uid),
        ("runs", "list"),
        ("quarantine", "list"),
        ("quarantine", "retry", "--all"),
        ("audit", "list"),
        ("doctor",),
    ):
        platform.cli(*arguments, check=False)


def fail_in_the_database(platform: Any) -> None:
    """PostgreSQL would log the statement of an error, and the row."""
    url = platform.cli("db", "url").stdout.strip()
    with psycopg.connect(url, autocommit=True) as database:
        for statement in (
            f"SELECT '{MARK}'::int /* {MARK} */",
            f"INSERT INTO archive_study (study_uid, patient_name) VALUES ('1', '{MARK}')",
        ):
            with pytest.raises(psycopg.Error):
                database.execute(statement)


def people(platform: Any) -> str:
    """Somebody of each role; who the administrator is."""
    done = subprocess.run(
        [sys.executable, str(seed.__file__), str(platform.data_dir), "people"],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["users"]["administrator"])


class Visitor:
    """A browser without a screen that opens every link it sees."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, timeout=60)
        self.seen: set[str] = set()

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *trouble: object) -> None:
        self.client.close()

    def sign_in(self, username: str, password: str) -> httpx.Response:
        token = self._token(self.client.get("/sign-in/").text)
        form = {"username": username, "password": password, "csrfmiddlewaretoken": token}
        return self.client.post("/sign-in/", data=form)

    def search(self, text: str) -> None:
        page = self.client.get("/").text
        form = {"csrfmiddlewaretoken": self._token(page), "patient_name": text, "text": text}
        answer = self.client.post("/", data=form)
        self.seen.add(answer.headers.get("Location", ""))
        self.client.get(answer.headers.get("Location", "/"))
        self.client.get("/", params={"text": text})  # typed by hand, or an old bookmark
        self.client.get(f"/studies/{text}/")

    def crawl(self, *starts: str, most: int = 120) -> dict[str, int]:
        """Pages that can be reached by links, three addresses of each; status by address."""
        waiting, found, met = list(starts), {}, Counter[str]()
        while waiting and len(found) < most:
            path = waiting.pop(0)
            page = re.sub(r"[\d.]{6,}|[0-9a-f-]{36}", "*", path.partition("?")[0])
            if path in found or "/static/" in path or "sign-out" in path or met[page] == 3:
                continue
            met[page] += 1
            answer = self.client.get(path)
            found[path] = answer.status_code
            self.seen.add(path)
            if "html" in answer.headers.get("Content-Type", ""):
                waiting += self._links(path, answer.text)
        return found

    def send(self, path: str, page: str, files: Any = None, **form: str) -> httpx.Response:
        """What a form of a page sends; the address it leads to counts as seen."""
        sent = {"csrfmiddlewaretoken": self._token(self.client.get(page).text), **form}
        answer = self.client.post(path, data=sent, files=files)
        self.seen |= {path, answer.headers.get("Location", "")}
        return answer

    @staticmethod
    def _token(page: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert found is not None, page[:500]
        return found[1]

    @staticmethod
    def _links(path: str, page: str) -> Iterator[str]:
        for link in re.findall(r'(?:href|src|hx-get)="([^"#]+)"', page):
            parts = urlsplit(urljoin(path, link.replace("&amp;", "&")))
            if not parts.netloc:
                yield f"{parts.path}?{parts.query}" if parts.query else parts.path


def ask_who_it_is(visitor: Visitor) -> None:
    """Patients in and out of a project of de-identification, and questions about them."""
    listed = f"PatientID,IssuerOfPatientID,Pseudonym\n{MARK}1,{MARK},TRIAL-1\n"
    wrong = f"{listed}{MARK}1,{MARK},TRIAL-2\n{MARK}2,,TRIAL-1\n"
    choices = {"dates": "remove", "pixels": "off", "faces": "ignore", "documents": "refuse"}
    made = visitor.send("/projects/new/", "/projects/new/", name="trial", **choices,
                        pseudonym_kind="keyed", remember="on")  # fmt: skip
    assert made.status_code == 302
    page, project = "/projects/trial/patients/", "/projects/trial"
    for text, status in ((listed, 302), (wrong, 200), (f"{MARK}\n{MARK}", 200)):
        upload = {"upload": (f"{MARK}.csv", text)}
        assert visitor.send(f"{project}/import/", page, upload).status_code == status
    found = visitor.send(f"{project}/look-up/", page, pseudonym="TRIAL-1")
    assert MARK in found.text, "who may know is told"
    for asked in ({"patient_id": f"{MARK}1"}, {"patient_id": f"{MARK}9"}, {"pseudonym": MARK}):
        assert visitor.send(f"{project}/look-up/", page, **asked).status_code == 200
    assert MARK in visitor.send(f"{project}/export/", page).text
    assert visitor.send(f"{project}/secret/", page).status_code == 200


def look(platform: Any, study_uid: str, username: str) -> set[str]:
    """What people do in the browser; every address that they came by."""
    with Visitor(f"http://127.0.0.1:{platform.http_port}") as visitor:
        return _look(visitor, study_uid, username)


def _look(visitor: Visitor, study_uid: str, username: str) -> set[str]:
    visitor.sign_in(username, f"wrong-{MARK}")
    visitor.sign_in(username, seed.PASSWORD)
    visitor.search(MARK)
    ask_who_it_is(visitor)
    found = visitor.crawl("/", f"/studies/{study_uid}/", "/events/", "/quarantine/", "/runs/")
    assert found["/events/"] == 200, found
    assert found[f"/studies/{study_uid}/"] == 200, found
    assert not [path for path, status in found.items() if status >= 500], found
    for path in ("studies", f"studies/{study_uid}", "events", "runs", "quarantine", "system"):
        assert visitor.client.get(f"/api/v1/{path}").status_code < 500
    visitor.client.get("/api/v1/studies", params={"patient_name": MARK})
    return visitor.seen


def places(platform: Any) -> Iterator[tuple[str, str]]:
    """Every line that is written to be kept or shown: where, text."""
    root: Path = platform.data_dir
    files = [
        path
        for folder in (root / "logs", root / "run", root / "spool" / "events")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    printed = root.parent / f"{root.name}-output.txt"
    for path in [*files, printed]:
        for line in path.read_bytes().decode("utf-8", "replace").splitlines():
            yield path.name, line
    for line in platform.cli("audit", "export").stdout.splitlines():
        yield "events", line


@pytest.mark.timeout(600)
def test_no_identity_anywhere(platform: Any, tmp_path: Path) -> None:
    started = platform(SETTINGS)
    administrator = people(started)
    (tmp_path / "routes.yaml").write_text(routes(tmp_path))
    started.cli("routes", "apply", tmp_path / "routes.yaml")
    study_uid = receive(started, tmp_path)
    started.wait_for(
        lambda: (
            {"run", "delivery", "instance"}
            <= {item["kind"] for item in started.json("quarantine", "list")}
        ),
        timeout_s=180,
    )
    use(started, study_uid)
    fail_in_the_database(started)
    addresses = look(started, study_uid, administrator)
    started.wait_for(
        lambda: json.loads(started.cli("audit", "verify", "--json").stdout)["seals"] > 0
    )
    kinds = set()
    for where, line in (*places(started), *(("address", address) for address in addresses)):
        assert MARK not in line, f"{where}: {line}"
        assert BIRTH_DATE not in line, f"{where}: {line}"
        if where == "events" and "kind" in (event := json.loads(line)):
            kinds.add(event["kind"])
    wanted = {
        "ASSOCIATION_ACCEPTED",
        "ASSOCIATION_REJECTED",
        "INSTANCE_STORED",
        "INSTANCE_DUPLICATE",
        "STUDY_FLAGGED",
        "STUDY_COMPLETE",
        "STUDY_PROTECTED",
        "PROCESSING_SUCCESS",
        "PROCESSING_FAILED",
        "SENDING_SUCCESS",
        "SENDING_FAILED",
        "QUARANTINED",
        "SIGN_IN_FAILED",
        "SIGNED_IN",
        "STUDY_VIEWED",
        "PATIENT_LOOKED_UP",
        "PSEUDONYMS_IMPORTED",
        "PSEUDONYMS_EXPORTED",
        "PROJECT_SECRET_EXPORTED",
    }
    assert wanted <= kinds, "the path was not gone: " + ", ".join(sorted(wanted - kinds))
