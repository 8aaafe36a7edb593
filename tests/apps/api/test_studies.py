"""Studies through the API."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from isocenter.apps.archive.models import Study
from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import Artifact, Run
from isocenter.core.phantoms import head_phantom

Caller = Any

IDENTITY = {"patient_id", "patient_name", "accession_number"}


def test_a_study_has_the_keys_of_the_command_line(admin: Caller, study_uid: str) -> None:
    from isocenter.apps.archive.queries import study_detail, study_row

    (row,) = admin.get("studies").json()["items"]
    stored = Study.objects.get()
    assert row == study_row(stored)
    assert admin.get(f"studies/{study_uid}").json() == study_detail(study_uid)


def test_who_the_patient_is_is_for_those_who_may_know(
    caller: Callable[..., Caller], study_uid: str
) -> None:
    stored = Study.objects.get()
    assert stored.patient_name
    for somebody in (caller("researcher"), caller("administrator", scopes=["view"])):
        for path in ("studies", f"studies/{study_uid}"):
            answer = somebody.get(path)
            row = answer.json()["items"][0] if path == "studies" else answer.json()
            assert {row[key] for key in IDENTITY} == {None}
            assert stored.patient_id not in answer.content.decode()
    assert caller("physician").get("studies").json()["items"][0]["patient_id"] == stored.patient_id


def test_nothing_that_the_api_lists_names_the_patient(
    caller: Callable[..., Caller], study_uid: str
) -> None:
    marks = {
        name: f"zzmark-{name}"
        for name in (
            *("patient_name", "patient_id", "issuer_of_patient_id", "accession_number"),
            *("patient_birth_date", "study_id", "referring_physician_name"),
        )
    }
    Study.objects.update(**marks)
    study = Study.objects.get()
    run = Run.objects.create(
        study=study, revision=study.revisions.get(), pipeline_name="p", definition={}
    )
    knowing = caller("physician")
    assert knowing.post("studies/search", {"patient_name": "zzmark"}).json()["total"] == 1
    assert knowing.get(f"studies/{study_uid}").json()["patient_id"] == marks["patient_id"]
    somebody = caller("administrator", scopes=["view", "view-events", "quarantine"])
    for path in (
        "studies",
        *(f"studies/{study_uid}{part}" for part in ("", "/series", "/instances")),
        *("runs", f"runs/{run.pk}", "events", "events/export", "quarantine"),
    ):
        answer = somebody.get(path)
        assert answer.status_code == 200, path
        assert "zzmark" not in answer.getvalue().decode(), path


def test_what_the_api_shows_to_everybody_can_be_searched_by_them(
    caller: Callable[..., Caller], study_uid: str
) -> None:
    """Descriptions and dates stay: docs/guides/people.md says why."""
    Study.objects.update(study_description="head", study_date="20260102")
    somebody = caller("student")
    for search in ({"description": "hea"}, {"study_from": "2026-01-02"}, {"text": "head"}):
        (row,) = somebody.post("studies/search", search).json()["items"]
        assert (row["study_description"], row["study_date"]) == ("head", "20260102")


def test_a_flag_does_not_tell_whether_a_guess_of_the_patient_is_right(
    caller: Callable[..., Caller], study_uid: str
) -> None:
    two, other = ({"code": code, "text": code} for code in ("two-patients", "long-value"))
    Study.objects.update(flags=[two, other])
    somebody = caller("researcher")
    assert somebody.get("studies").json()["items"][0]["flags"] == ["long-value"]
    assert somebody.get(f"studies/{study_uid}").json()["flags"] == [other]
    Study.objects.update(flags=[two])
    assert somebody.get("studies", flagged=True).json()["total"] == 0
    known = caller("physician").get("studies", flagged=True).json()
    assert known["items"][0]["flags"] == ["two-patients"]


def test_nobody_finds_a_name_that_they_may_not_know(
    caller: Callable[..., Caller], study_uid: str
) -> None:
    name = Study.objects.get().patient_name.partition("^")[0]
    search = {"text": name}
    assert len(caller("physician").post("studies/search", search).json()["items"]) == 1
    assert caller("researcher").post("studies/search", search).json()["items"] == []


@pytest.mark.parametrize(
    "search",
    [
        {"patient_name": "somebody"},
        {"patient_id": "1"},
        {"patient_birth_date": "1970"},
        {"accession_number": "1"},
        {"sort": "-patient_name"},
    ],
)
def test_a_search_that_may_not_be_made_is_refused(
    caller: Callable[..., Caller], study_uid: str, search: dict[str, str]
) -> None:
    """Without what was asked for, everything would be found, and a script would go on with it."""
    answer = caller("researcher").post("studies/search", search)
    assert answer.status_code == 403
    assert next(iter(search)) in answer.json()["error"]
    assert caller("physician").post("studies/search", search).status_code == 200


def test_lists_are_paged_by_key(admin: Caller, study_uid: str) -> None:
    stored = Study.objects.get()
    for number in range(6):
        Study.objects.create(
            study_uid=f"1.2.3.{number}",
            patient_name=f"NAME{number}",
            first_received_at=stored.first_received_at,
            last_received_at=stored.last_received_at,
        )
    seen: list[str] = []
    cursor = ""
    while True:
        page = admin.get("studies", limit=2, sort="patient_name", cursor=cursor).json()
        assert page["total"] == 7
        seen += [row["study_uid"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert "NAME" not in cursor
    assert len(seen) == len(set(seen)) == 7
    assert admin.get("studies", cursor="nonsense").status_code == 400


def test_instances(admin: Caller, study_uid: str) -> None:
    first = admin.get(f"studies/{study_uid}/instances", limit=4).json()
    second = admin.get(f"studies/{study_uid}/instances", limit=4, cursor=first["next"]).json()
    found = first["items"] + second["items"]
    assert second["next"] is None
    assert len({row["sop_uid"] for row in found}) == 6
    series = admin.get(f"studies/{study_uid}/series").json()["items"]
    of_one = admin.get(f"studies/{study_uid}/instances", series_uid=series[0]["series_uid"]).json()[
        "items"
    ]
    assert len(of_one) == series[0]["instances"]


def test_asking_is_written_down(admin: Caller, study_uid: str) -> None:
    admin.get(f"studies/{study_uid}")
    admin.post("studies/search", {"patient_name": "whoever"})
    kinds = dict(Event.objects.filter(actor="a-administrator").values_list("kind", "detail"))
    assert kinds["STUDY_QUERIED"]["fields"] == ["patient_name"]
    assert "STUDY_VIEWED" in kinds
    assert "whoever" not in str(kinds)


def test_a_study_is_completed_by_hand(admin: Caller, study_uid: str) -> None:
    answer = admin.post(f"studies/{study_uid}/complete")
    assert answer.json() == {"study_uid": study_uid, "revision": 1, "instances": 6}
    assert admin.post("studies/1.2.3/complete").status_code == 404


def test_runs(caller: Callable[..., Caller], admin: Caller, study_uid: str) -> None:
    answer = admin.post("runs", {"study_uid": study_uid, "pipeline": "rt-overlay"})
    assert answer.status_code == 201, answer.content
    run = answer.json()
    assert Run.objects.get().actor == "a-administrator"
    assert admin.get("runs", study_uid=study_uid).json()["items"] == [run]
    detail = admin.get(f"runs/{run['id'][:8]}").json()
    assert detail["id"] == run["id"]
    assert detail["steps"][0]["name"] == "contours"
    assert admin.get(f"runs/{run['id']}/log").json()[0]["log"] == ""
    assert admin.post(f"runs/{run['id']}/priority", {"priority": 7}).json()["priority"] == 7
    assert admin.post(f"runs/{run['id']}/cancel").json()["state"] == "cancelled"
    again = admin.post(f"runs/{run['id']}/cancel")
    assert again.status_code == 422
    assert "cancelled already" in again.json()["error"]
    assert admin.post(f"runs/{run['id']}/retry").json()["state"] == "queued"
    assert admin.post(f"runs/{run['id']}/again").status_code == 201
    assert admin.post("runs", {"study_uid": study_uid}).status_code == 422


def test_who_may_not_send_to_a_node_starts_no_run_there(
    caller: Callable[..., Caller], study_uid: str
) -> None:
    answer = caller("physician").post(
        "runs", {"study_uid": study_uid, "pipeline": "rt-overlay", "destinations": ["pacs"]}
    )
    assert answer.status_code == 403
    assert not Run.objects.exists()


def test_a_protected_study_is_not_deleted(admin: Caller, study_uid: str) -> None:
    answer = admin.put(f"studies/{study_uid}/protection", {"protected": True})
    assert answer.json()["protected"]
    refused = admin.delete(f"studies/{study_uid}")
    assert refused.status_code == 409
    assert "protected by a-administrator" in refused.json()["error"]
    admin.put(f"studies/{study_uid}/protection", {"protected": False})
    assert admin.delete(f"studies/{study_uid}").json()["instances"] == 6
    assert admin.get(f"studies/{study_uid}").status_code == 404


def test_a_series_is_deleted(admin: Caller, study_uid: str) -> None:
    first, second = admin.get(f"studies/{study_uid}/series").json()["items"]
    gone = admin.delete(f"studies/{study_uid}/series/{second['series_uid']}").json()
    assert gone["instances"] == second["instances"]
    assert admin.get(f"studies/{study_uid}/series").json()["items"] == [first]


def test_a_picture_that_is_not_there_yet(admin: Caller, study_uid: str) -> None:
    series = admin.get(f"studies/{study_uid}/series").json()["items"]
    uid = next(row["series_uid"] for row in series if row["modality"] == "CT")
    answer = admin.get(f"studies/{study_uid}/series/{uid}/thumbnail")
    assert answer.status_code == 404
    assert answer.json()["error"] == "the picture is pending"


def test_uploads(admin: Caller, caller: Callable[..., Caller], tmp_path: Path) -> None:
    path = head_phantom("sent", slices=2, rows=16, columns=16).write(tmp_path / "sent")[0]
    files = [SimpleUploadedFile("a.dcm", path.read_bytes()), SimpleUploadedFile("b.txt", b"text")]
    found = admin.send_files("uploads", files).json()["items"]
    assert [(row["name"], row["outcome"]) for row in found] == [
        ("a.dcm", "accepted"),
        ("b.txt", "skipped"),
    ]
    assert len(found[0]["study_uids"]) == 1
    assert caller("student").send_files("uploads", files).status_code == 403


def test_a_study_is_downloaded(
    admin: Caller, caller: Callable[..., Caller], study_uid: str
) -> None:
    answer = admin.get(f"studies/{study_uid}/download")
    content = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert len(content.namelist()) == 6
    event = Event.objects.get(kind="STUDY_DOWNLOADED")
    assert (event.actor, event.detail["instances"]) == ("a-administrator", 6)
    assert caller("researcher").get(f"studies/{study_uid}/download").status_code == 403


@pytest.mark.parametrize("password", ["", " ", " " * 9, "\t" * 9, "short", "pässwörter", 0, None])
def test_a_password_that_protects_nothing_gives_no_archive(
    admin: Caller, study_uid: str, password: object
) -> None:
    """A variable of a script that is empty must not give an archive that anybody opens."""
    answer = admin.post(f"studies/{study_uid}/download", {"password": password})
    assert answer.status_code == 422
    assert admin.get(f"studies/{study_uid}/download", password="x" * 9).status_code == 422
    assert not Event.objects.filter(kind="STUDY_DOWNLOADED").exists()


def test_what_a_run_made_is_for_those_who_may_have_it(
    admin: Caller, caller: Callable[..., Caller], study_uid: str
) -> None:
    admin.post("runs", {"study_uid": study_uid, "pipeline": "rt-overlay"})
    run = Run.objects.get()
    file = settings.LAYOUT.runs / "made.dcm"
    file.write_bytes(b"an overlay")
    Artifact.objects.create(
        run=run,
        step=run.steps.first(),
        study=run.study,
        kind="overlay",
        path=file.name,
        size=10,
        digest="0" * 64,
        sop_uid="1.2.3",
    )
    overlay = {"id": Artifact.objects.get().pk, "size": 10}
    path = f"studies/{study_uid}/outputs/{overlay['id']}"
    content = b"".join(admin.get(path).streaming_content)
    assert len(content) == overlay["size"]
    assert caller("researcher").get(path).status_code == 403
    assert caller("student").get(path).status_code == 403
    assert admin.get(f"studies/1.2.3/outputs/{overlay['id']}").status_code == 404
