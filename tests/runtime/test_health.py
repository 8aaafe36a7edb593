"""Health: one check for each thing that has to work."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from collections.abc import Iterator

import pytest
from django.conf import settings as configuration
from django.db import connection
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.runtime.layout import Layout
from isocenter.runtime.state_files import process_identity, write_state


@pytest.fixture
def well(installation: Layout) -> Iterator[Layout]:
    """The state files of a platform that is well; this process stands for its parts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        me = process_identity(os.getpid())
        port = listener.getsockname()[1]
        address = {"host": "127.0.0.1", "port": port}
        write_state(installation.run / "receiver.json", {**me, "addresses": [address]})
        now = dt.datetime.now(dt.UTC).isoformat()
        write_state(installation.run / "ingest.json", {**me, "at": now})
        parts = {"receiver": {"state": "running"}}
        write_state(installation.run / "runtime.json", {**me, "parts": parts})
        with connection.cursor() as cursor:
            cursor.execute("insert into procrastinate_workers default values")
        yield installation


def _ready() -> tuple[int, dict[str, dict[str, object]]]:
    answer = Client().get("/health/ready")
    return answer.status_code, answer.json()["checks"]


@pytest.mark.django_db
def test_all_is_well(well: Layout) -> None:
    status, checks = _ready()

    assert status == 200, checks
    assert all(check["ok"] for check in checks.values())
    assert set(checks) == {
        "database", "queue", "receiver", "ingest", "workers", "disk", "parts",
    }  # fmt: skip


@pytest.mark.django_db
def test_how_things_are_is_for_this_machine_and_those_who_look_after_it(well: Layout) -> None:
    def asked(role: str = "") -> dict[str, object]:
        client = Client(REMOTE_ADDR="10.1.2.3")
        if role:
            client.force_login(User.objects.create(username=role, role=role))
        found: dict[str, object] = client.get("/health/ready").json()
        return found

    for answer in (asked(), asked("student")):
        assert answer.keys() == {"status", "checks"}
        checks = answer["checks"]
        assert isinstance(checks, dict)
        assert set(map(str, checks.values())) == {"{'ok': True}"}
    assert "PostgreSQL" in str(asked("administrator"))
    assert "PostgreSQL" in str(Client().get("/health/ready").json())


@pytest.mark.django_db
def test_each_check_notices_its_own(well: Layout) -> None:
    def failed() -> set[str]:
        status, checks = _ready()
        assert status == 503
        return {name for name, check in checks.items() if not check["ok"]}

    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_workers set last_heartbeat = now() - interval '1 h'")
    assert failed() == {"workers"}
    me = process_identity(os.getpid())
    write_state(well.run / "ingest.json", {**me, "at": "2020-01-01T00:00:00+00:00"})
    assert failed() == {"workers", "ingest"}
    (well.run / "receiver.json").unlink()
    assert failed() == {"workers", "ingest", "receiver"}
    parts = {"web": {"state": "failing", "reason": "ended with SIGSEGV"}}
    write_state(well.run / "runtime.json", {**me, "parts": parts})
    assert failed() == {"workers", "ingest", "receiver", "parts"}
    well.archive.rename(well.root / "unmounted")
    assert "is its disk mounted" in str(_ready()[1]["disk"]["text"])
    assert failed() == {"workers", "ingest", "receiver", "parts", "disk"}
    (well.root / "unmounted").rename(well.archive)
    configuration.ISOCENTER = configuration.ISOCENTER.model_copy(
        update={
            "storage": configuration.ISOCENTER.storage.model_copy(update={"reserve_mb": 1 << 40})
        }
    )
    assert failed() == {"workers", "ingest", "receiver", "parts", "disk"}


def test_live_answers_whoever_asks() -> None:
    assert json.loads(Client().get("/health/live").content) == {"status": "live"}
    assert Client().get("/health/live", headers={"host": "evil.example"}).status_code == 400
