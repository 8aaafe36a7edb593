"""The process ``isocenter ingest``: from the spool to completion, alone at its work."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from isocenter.apps.archive.models import Instance, Study
from isocenter.apps.archive.spool import EventJournal
from isocenter.apps.audit.models import Event
from isocenter.runtime.ingest import IngestLoop

from .conftest import Intake, encoded, image, start_ingest, the_study, wait_until


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_one_round_takes_everything_in_and_decides(
    intake: Intake, configured: Callable[..., Any], tmp_path: Any
) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "a.dcm").write_bytes(encoded(image(3)))
    configured(
        completion={"debounce_s": 0.001}, storage={"watched_folders": (watched,), "reserve_mb": 0}
    )
    intake.send(image(1), image(2))
    journal = EventJournal(intake.layout.spool)
    journal.append("C_ECHO", {"calling_ae_title": "CT1"})
    loop = IngestLoop(settings.ISOCENTER, threading.Event())
    for folder in loop._watched:
        folder._stable_s = 0
    try:
        loop.once()
        loop.once()
    finally:
        loop.close()
        journal.close()
    assert the_study().instance_count == 3
    assert not (watched / "a.dcm").exists()
    assert Event.objects.filter(kind="C_ECHO").count() == 1
    assert json.loads((intake.layout.run / "receive-policy.json").read_text())["paused"] is None
    assert json.loads((intake.layout.run / "ingest.json").read_text())["pid"]


@pytest.mark.django_db(transaction=True)
def test_a_second_ingest_waits_and_takes_over(
    transactional_db: None, intake: Intake, processes: list[subprocess.Popen[bytes]]
) -> None:
    processes.append(start_ingest(intake))
    intake.send(image(1))
    wait_until(lambda: Instance.objects.count() == 1)
    processes.append(start_ingest(intake))
    processes[0].send_signal(signal.SIGTERM)
    assert processes[0].wait(60) == 0
    intake.send(image(2))
    wait_until(lambda: Instance.objects.count() == 2)


@pytest.mark.django_db(transaction=True)
def test_it_outlives_the_loss_of_its_database_connection(
    transactional_db: None, intake: Intake, processes: list[subprocess.Popen[bytes]]
) -> None:
    processes.append(start_ingest(intake))
    intake.send(image(1))
    wait_until(lambda: Instance.objects.count() == 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    intake.send(image(2))
    wait_until(lambda: Instance.objects.count() == 2)
    assert processes[0].poll() is None
    assert Study.objects.count() == 1
