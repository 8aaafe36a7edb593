"""``isocenter audit`` and what ``isocenter studies`` says of keeping and deleting."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from append_only import unguarded
from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.models import Study
from isocenter.apps.audit import services
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event
from isocenter.core.phantoms import head_phantom
from isocenter.runtime.layout import Layout

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # what is not committed is not sealed
Cli = Callable[..., tuple[int, str, str]]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def events() -> None:
    """Three events at noon of three days."""
    services.record_many(
        services.Entry(kind, f"1.{number}", actor, {}, NOON + timedelta(days=number))
        for number, (kind, actor) in enumerate(
            [(Kind.C_ECHO, "CT1"), (Kind.STUDY_HELD, ""), (Kind.SIGNED_IN, "alice")]
        )
    )


@pytest.mark.parametrize(
    ("options", "studies"),
    [
        ([], ["1.2", "1.1", "1.0"]),
        (["--limit", "1"], ["1.2"]),
        (["--study", "1.1"], ["1.1"]),
        (["--kind", "C_ECHO", "--kind", "SIGNED_IN"], ["1.2", "1.0"]),
        (["--actor", "alice"], ["1.2"]),
        (["--since", "2026-01-03"], ["1.2", "1.1"]),
        (["--until", "2026-01-03"], ["1.1", "1.0"]),
        (["--until", "2026-01-03T12:00:00"], ["1.0"]),
        (["--until", "9999-12-31"], ["1.2", "1.1", "1.0"]),
    ],
)
def test_list(cli: Cli, events: None, options: list[str], studies: list[str]) -> None:
    code, out, _ = cli("audit", "list", "--json", *options)
    assert code == 0
    assert [event["study_uid"] for event in json.loads(out)] == studies


def test_what_cannot_be_asked_for_is_said(cli: Cli) -> None:
    assert cli("audit", "list", "--kind", "NO_SUCH")[0] == 2
    code, _, err = cli("audit", "list", "--since", "yesterday")
    assert code == 2
    assert "2026-01-31" in err
    assert cli("audit", "export", "--format", "pdf")[0] == 1


@committed
def test_verify_says_that_all_is_well(cli: Cli, events: None) -> None:
    services.seal_events()
    code, out, _ = cli("audit", "verify")
    assert code == 0
    assert "3 events under 1 seals (1 compared with the log). 0 not sealed" in " ".join(out.split())
    code, out, _ = cli("audit", "verify", "--json", "--no-log")
    assert code == 0
    assert json.loads(out) == {
        "ok": True,
        "seals": 1,
        "events": 3,
        "unsealed": 0,
        "log_lines": 0,
        "problem": None,
    }


@committed
def test_verify_says_where_it_is_wrong(cli: Cli, events: None) -> None:
    services.seal_events()
    with connection.cursor() as cursor:
        for statement in unguarded("UPDATE audit_event SET actor = 'bob' WHERE actor = 'alice'"):
            cursor.execute(statement)
    code, _, err = cli("audit", "verify")
    assert code == 1
    assert "an event under seal 1, or the seal itself, was changed" in err
    code, out, _ = cli("audit", "verify", "--json")
    assert code == 1
    assert json.loads(out)["problem"]["seal"] == 1


@committed
def test_export(cli: Cli, events: None, tmp_path: Path) -> None:
    services.seal_events()
    lines = [json.loads(line) for line in cli("audit", "export")[1].splitlines()]
    assert [line.get("kind") for line in lines] == ["C_ECHO", "STUDY_HELD", "SIGNED_IN", None]
    target = tmp_path / "events.csv"
    code, out, _ = cli("audit", "export", str(target), "--format", "csv", "--study", "1.1")
    assert (code, out) == (0, "")
    with target.open() as stream:
        assert [row["kind"] for row in csv.DictReader(stream)] == ["STUDY_HELD"]
    assert [path.name for path in tmp_path.glob("*events*")] == ["events.csv"]
    assert cli("audit", "export", str(target))[0] == 2
    exported = Event.objects.filter(kind="EVENTS_EXPORTED")
    assert list(exported.values_list("actor", flat=True)) == ["cli", "cli"]


@pytest.fixture
def study_uid(installation: Layout, tmp_path: Path) -> str:
    """A study of three slices and a structure set."""
    phantom = head_phantom("kept", slices=3, rows=32, columns=32)
    files = phantom.write(tmp_path / "phantom")
    origin = Origin("import", "FOLDER")
    ingest_records([Incoming(FilePayload(path), origin, NOON) for path in files])
    Study.objects.update(state="complete", due_at=None)
    return phantom.study_uid


def test_a_protected_study_is_deleted_only_when_it_no_longer_is(cli: Cli, study_uid: str) -> None:
    out = cli("studies", "protect", study_uid, "--json")[1]
    assert json.loads(out)["protected"] is True
    code, _, err = cli("studies", "delete", study_uid, "--yes")
    assert code == 1
    assert "is protected by cli (end its protection first)" in err
    assert cli("studies", "unprotect", study_uid)[0] == 0
    assert cli("studies", "delete", study_uid, stdin="n\n")[0] == 1
    assert Study.objects.count() == 1
    series = Study.objects.get().series.get(modality="RTSTRUCT").series_uid
    out = cli("studies", "delete", study_uid, "--series", series, "--yes", "--json")[1]
    assert json.loads(out)["instances"] == 1
    code, out, _ = cli("studies", "delete", study_uid, "--json", stdin="y\n")
    assert code == 0
    assert '"instances": 3' in out
    assert not Study.objects.exists()


def test_retention_says_first_what_it_would_do(cli: Cli, study_uid: str) -> None:
    Study.objects.update(last_received_at=datetime.now(UTC) - timedelta(days=10))
    assert "nothing is old enough" in cli("studies", "retention", "--dry-run")[1]
    config = settings.LAYOUT.root / "isocenter.yaml"
    config.write_text("retention: {originals_days: 7}\n")
    (row,) = json.loads(cli("studies", "retention", "--dry-run", "--json")[1])
    assert (row["study_uid"], row["instances"], row["kept"]) == (study_uid, 4, "")
    assert json.loads(cli("studies", "retention", "--json")[1]) == {"deleted": 1}
    assert not Study.objects.exists()
