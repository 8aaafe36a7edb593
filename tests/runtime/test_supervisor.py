"""``isocenter up``: one process tree that comes back, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from isocenter.runtime.lifeline import wait_until_gone
from platform_under_test import Platform

pytestmark = pytest.mark.timeout(300)

Make = Callable[..., Platform]


def test_everything_starts_answers_and_stops(platform: Make) -> None:
    running = platform()

    health = running.health()
    assert health["http_status"] == 200, health
    assert set(health["checks"]) >= {"database", "queue", "receiver", "ingest", "workers", "disk"}
    assert running.get("/health/live")[0] == 200
    status, page = running.get("/")
    assert status == 200
    assert "Isocenter" in page
    assert "http://" not in page.replace("http://127.0.0.1", "")
    printed = running.output()
    assert str(running.dicom_port) in printed
    assert running.ae_title in printed
    assert str(running.data_dir) in printed

    second = running.cli("up", check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert str(running.process_id) in second.stderr

    assert running.stop() == 0
    assert running.processes() == []


def test_every_part_comes_back_after_kill_9(platform: Make) -> None:
    running = platform()
    port = running.dicom_port
    for part in ("database", "worker-1", "receiver", "ingest", "web"):
        before = running.runtime["parts"][part]["pid"]
        running.kill(part)
        running.wait_for(
            lambda part=part, before=before: (
                running.runtime["parts"][part]["pid"] not in (None, before)
            ),
            timeout_s=120,
        )
    running.wait_for(lambda: running.health()["http_status"] == 200, timeout_s=120)
    assert running.dicom_port == port


def test_a_killed_supervisor_takes_all_with_it_and_the_next_one_starts(platform: Make) -> None:
    running = platform()
    everything = running.processes()
    assert len(everything) > 5
    running.kill("supervisor")

    assert wait_until_gone(everything, 60) == []
    running.start()
    assert running.health()["http_status"] == 200


def test_a_part_that_keeps_failing_is_reported(platform: Make) -> None:
    # An address of no machine (RFC 5737): nobody can listen there.
    running = platform({"receiver": {"hosts": ["192.0.2.1"]}}, start=False)
    running.start(wait=False)
    running.wait_for(lambda: running.runtime.get("http", {}).get("port"), timeout_s=150)

    def reported() -> bool:
        status, body = running.get("/health/ready")
        return status == 503 and "receiver" in json.loads(body)["checks"]["parts"]["text"]

    running.wait_for(reported, timeout_s=150)
