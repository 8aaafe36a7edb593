"""The disk watch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from isocenter.apps.archive import disk, queries
from isocenter.apps.archive.services import write_receive_policy
from isocenter.apps.audit.models import Event
from isocenter.runtime.layout import Layout

GIB = 1 << 30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the disk have so many MB free."""

    def set_to(megabytes: int) -> None:
        usage = SimpleNamespace(total=100 * GIB, free=megabytes << 20)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
        disk._kept = None

    return set_to


def events() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def test_how_it_is(
    db: None, installation: Layout, configured: Callable[..., Any], free: Callable[[int], None]
) -> None:
    configured(storage={"reserve_mb": 1000}, quarantine={"quota_mb": 5})
    free(5000)
    state = queries.disk_state()
    assert (state.free_bytes, state.reserve_bytes) == (5000 << 20, 1000 << 20)
    assert (state.paused, state.is_low, state.quota_bytes) == ("", False, 5 << 20)
    free(1500)
    assert queries.disk_state().is_low
    free(500)
    write_receive_policy()
    assert "reserve of 1000 MB" in queries.disk_state().paused


def test_an_answer_is_kept_for_some_seconds(
    db: None, installation: Layout, free: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(5000)
    first = queries.disk_state()
    monkeypatch.setattr(disk, "look", lambda: pytest.fail("not asked again"))
    assert queries.disk_state() is first


def test_a_fall_is_one_event(
    db: None, installation: Layout, configured: Callable[..., Any], free: Callable[[int], None]
) -> None:
    configured(storage={"reserve_mb": 1000})
    for megabytes in (5000, 1999, 1500, 2050, 1999):
        free(megabytes)
        write_receive_policy()
    assert events() == ["DISK_LOW"]
    free(2200)
    write_receive_policy()
    free(900)
    write_receive_policy()
    assert events() == ["DISK_LOW", "DISK_LOW", "RECEPTION_PAUSED"]
    assert Event.objects.filter(kind="DISK_LOW").latest("pk").detail == {
        "free_mb": 900,
        "reserve_mb": 1000,
    }
