"""Tests of nodes: asked by people, and of all of them every few minutes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from isocenter.apps.audit.models import Event
from isocenter.apps.transfers import jobs, testing
from isocenter.apps.transfers.models import Node, NodeHealth
from isocenter.apps.transfers.services import test_all as ask_all
from isocenter.apps.transfers.services import test_node as ask_node

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Somebody who takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def dimse(name: str, port: int, **values: object) -> Node:
    return Node.objects.create(
        name=name, kind="dimse", ae_title="PACS", host="127.0.0.1", port=port, **values
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_folder_that_can_be_written_is_ok(folder_node: Node) -> None:
    result = ask_node("out")
    assert result.is_ok
    health = NodeHealth.objects.get(node=folder_node)
    assert (health.is_ok, health.message) == (True, result.message)
    assert list(Path(folder_node.folder).iterdir()) == []


def test_a_system_that_is_not_there_fails_with_the_reason() -> None:
    node = dimse("gone", free_port())
    assert not ask_node("gone").is_ok
    assert "cannot be reached" in NodeHealth.objects.get(node=node).message


def test_a_folder_on_a_disk_that_is_not_mounted_is_not_made(
    folder_node: Node, tmp_path: Path
) -> None:
    Node.objects.filter(pk=folder_node.pk).update(folder=str(tmp_path / "disk" / "out"))
    result = ask_node(folder_node.name)
    assert not result.is_ok
    assert "is not there: is its disk mounted?" in result.message
    assert not (tmp_path / "disk").exists()


def test_only_changes_are_events(folder_node: Node, tmp_path: Path) -> None:
    ask_node("out")
    assert not Event.objects.exists()
    blocked = tmp_path / "file"
    blocked.write_text("")
    Node.objects.filter(pk=folder_node.pk).update(folder=str(blocked / "below"))
    ask_node("out")
    first = NodeHealth.objects.get().since
    ask_node("out")
    assert NodeHealth.objects.get().since == first
    Node.objects.filter(pk=folder_node.pk).update(folder=str(tmp_path))
    ask_node("out")
    kinds = list(Event.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["NODE_SILENT", "NODE_ANSWERS"]


def test_all_are_asked_at_once_and_those_that_are_off_are_not(
    folder_node: Node, silent_port: int, settings: object
) -> None:
    for number in range(5):
        dimse(f"silent{number}", silent_port, timeout_s=1)
    dimse("off", silent_port, enabled=False)
    begin = timezone.now()
    found = ask_all(20)
    assert (timezone.now() - begin).total_seconds() < 4
    assert set(found) == {"out", *(f"silent{number}" for number in range(5))}
    assert found["out"].is_ok
    assert not found["silent3"].is_ok


def test_a_node_that_hangs_holds_up_nobody_and_is_not_asked_twice(
    folder_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    dimse("hangs", free_port())
    go_on = threading.Event()
    asked: list[str] = []
    attempt = testing.attempt

    def hang(node: Node, *, timeout_s: float | None = None) -> testing.NodeTest:
        asked.append(node.name)
        if node.name == "hangs":
            go_on.wait(30)
        return attempt(node, timeout_s=timeout_s)

    monkeypatch.setattr(testing, "attempt", hang)
    try:
        found = ask_all(0.3)
        assert found["out"].is_ok
        assert not found["hangs"].is_ok
        ask_all(0.3)
        assert asked.count("hangs") == 1
    finally:
        go_on.set()
        ask_all(5)
    assert not testing._hanging


def test_the_job_tests_only_when_it_is_time_again(folder_node: Node) -> None:
    jobs.test_nodes(0)
    first = NodeHealth.objects.get().checked_at
    jobs.test_nodes(60)
    assert NodeHealth.objects.get().checked_at == first
    NodeHealth.objects.update(checked_at=first - timedelta(minutes=5))
    jobs.test_nodes(300)
    assert NodeHealth.objects.get().checked_at > first
