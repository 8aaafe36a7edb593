"""What pages can do and the API did not: reports, previews, saved searches, several at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from isocenter.apps.api.study_sorts import StudySort
from isocenter.apps.archive.models import Study
from isocenter.apps.archive.queries import SORTS
from isocenter.apps.routing.models import Artifact, Delivery, Pipeline, QuarantineItem, Run
from isocenter.apps.routing.services import quarantine_instance, start

Caller = Any


@pytest.fixture
def run(study_uid: str) -> Run:
    Pipeline.objects.create(name="copy", steps=[{"step": "deliver", "with": {}}])
    return start(study_uid, pipeline_name="copy", destinations=("pacs",), actor="ana")


@pytest.fixture
def items(db: None, tmp_path: Path) -> list[QuarantineItem]:
    made = []
    for number in range(3):
        file = tmp_path / f"strange-{number}"
        file.write_bytes(b"no DICOM %d" % number)
        made.append(quarantine_instance(file, f"reason {number}", source="SENDER"))
    return made


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("studies", "sort"),
        ("runs", "state"),
        ("quarantine", "min_attempts"),
        ("events/export", "study_uid"),
        ("groups", "cursor"),
        ("account", ""),
    ],
)
def test_a_parameter_that_is_none_is_refused(admin: Caller, path: str, known: str) -> None:
    """A typing error must not give everything instead of a part."""
    answer = admin.get(path, nosuch="1")
    assert answer.status_code == 422
    found = answer.json()
    assert "nosuch" in found["error"]
    assert known in found["hint"]
    assert found["problems"][0]["path"] == "nosuch"


def test_studies_are_sorted_by_what_there_is(admin: Caller, study_uid: str) -> None:
    assert set(get_args(StudySort)) == {"", *SORTS, *(f"-{name}" for name in SORTS)}
    assert admin.get("studies", sort="-instances").status_code == 200
    assert admin.get("studies", sort="password").status_code == 422
    assert admin.post("studies/search", {"sort": "password"}).status_code == 422


def test_runs_by_day_and_destination(admin: Caller, run: Run) -> None:
    def found(**query: Any) -> int:
        return len(admin.get("runs", **query).json()["items"])

    day = run.created_at.date()
    assert found(created_from=day, created_to=day) == 1
    assert found(created_to="2020-01-01") == 0
    assert found(created_from="2020-01-01", created_to="9999-12-31") == 1
    Delivery.objects.create(run=run, study=run.study, node_name="pacs")
    assert found(destination="pacs") == 1
    assert found(destination="other") == 0


def test_quarantine_by_reason_age_and_attempts(admin: Caller, items: list[Any]) -> None:
    def found(**query: Any) -> int:
        return len(admin.get("quarantine", **query).json()["items"])

    assert found() == 3
    assert found(reason="REASON 1") == 1
    assert found(min_age_days=1) == 0
    QuarantineItem.objects.filter(pk=items[0].pk).update(attempts=5)
    assert found(min_attempts=5) == 1
    assert admin.get("quarantine", min_attempts="x").status_code == 422


def test_several_items_of_the_quarantine_at_once(
    admin: Caller, caller: Callable[..., Caller], items: list[Any], run: Run
) -> None:
    held = QuarantineItem.objects.create(
        kind="run", run=run, study_uid=run.study.study_uid, reason="it failed", path="x"
    )
    ids = [str(held.pk), str(items[0].pk), "no-such"]
    answer = admin.post("quarantine/release", {"ids": ids})
    assert answer.status_code == 200
    rows = answer.json()["items"]
    assert [(row["id"], row["done"]) for row in rows] == list(
        zip(ids, (True, False, False), strict=True)
    )
    assert rows[0]["state"] == "released"
    assert rows[1]["error"]
    assert "no-such" in rows[2]["error"]
    again = admin.post("quarantine/retry", {"ids": [str(item.pk) for item in items]}).json()
    assert len(again["items"]) == 3
    assert admin.post("quarantine/retry", {"ids": []}).status_code == 422
    assert caller("physician").post("quarantine/retry", {"ids": ids}).status_code == 403


def test_reports_and_previews_of_a_run(admin: Caller, run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("what was done")
    page = tmp_path / "report.html"
    page.write_text("<p>what was done")
    run.reports = [str(report), str(page)]
    run.save()
    step = run.steps.first()
    for role in ("Montage", "Slice 1", "Slice 2"):
        Artifact.objects.create(
            run=run, step=step, study=run.study, kind="preview", role=role, path=f"{role}.png",
            digest="d", size=3,
        )  # fmt: skip
    assert admin.get(f"runs/{run.pk}").json()["reports"] == ["txt", "html"]
    answer = admin.get(f"runs/{run.pk}/reports/txt")
    assert (answer.content, answer.headers["Content-Type"][:10]) == (b"what was done", "text/plain")
    shown = admin.get(f"runs/{str(run.pk)[:8]}/reports/html")
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert admin.get(f"runs/{run.pk}/reports/json").status_code == 404
    assert admin.get(f"runs/{run.pk}/reports/exe").status_code == 422
    first = admin.get(f"runs/{run.pk}/previews", limit=2).json()
    rest = admin.get(f"runs/{run.pk}/previews", limit=2, cursor=first["next"]).json()
    roles = [row["role"] for row in first["items"] + rest["items"]]
    assert roles == ["Montage", "Slice 1", "Slice 2"]
    assert rest["next"] is None


def test_a_saved_search_lives(admin: Caller, caller: Callable[..., Caller]) -> None:
    values = {"modalities": "CT", "patient_name": "zzmark", "states": ["held"], "flagged": "on"}
    made = admin.post("filters", {"name": "Held CTs", "values": values})
    assert made.status_code == 201, made.content
    assert made.json()["values"] == values
    assert admin.get("filters").json()["items"] == [made.json()]
    assert admin.post("filters", {"name": "x", "values": {"nosuch": "1"}}).status_code == 422
    wrong = admin.post("filters", {"name": "x", "values": {"study_from": "soon"}})
    assert wrong.status_code == 422
    assert wrong.json()["problems"][0]["path"] == "study_from"

    admin.post("groups", {"name": "trial"})
    caller("student")
    for person in ("a-administrator", "a-student"):
        admin.put(f"groups/trial/members/{person}")
    admin.post("filters", {"name": "Held CTs", "values": values, "group": "trial"})
    student = caller("student")
    (row,) = student.get("filters").json()["items"]
    assert (row["owner"], row["is_mine"]) == ("a-administrator", False)
    assert "patient_name" not in row["values"]
    assert student.delete(f"filters/{row['id']}").status_code == 404
    assert admin.delete(f"filters/{row['id']}").status_code == 204
    assert Study.objects.count() == 0
