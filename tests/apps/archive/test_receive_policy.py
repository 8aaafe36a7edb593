"""The snapshot that pauses reception."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from isocenter.apps.archive.services import write_receive_policy
from isocenter.apps.audit.models import Event
from isocenter.runtime.layout import Layout


def snapshot(layout: Layout) -> dict[str, Any]:
    return dict(json.loads((layout.run / "receive-policy.json").read_text()))


def test_it_says_who_may_send(
    db: None, installation: Layout, configured: Callable[..., Any]
) -> None:
    configured(
        receiver={"allowed_calling_ae_titles": ("CT1",), "allowed_networks": ("10.0.0.0/8",)},
        storage={"reserve_mb": 0},
    )
    assert write_receive_policy() is None
    found = snapshot(installation)
    assert found["allowed_calling_ae_titles"] == ["CT1"]
    assert found["allowed_networks"] == ["10.0.0.0/8"]
    assert found["paused"] is None


def test_a_disk_below_its_reserve_pauses_and_resumes(
    db: None, installation: Layout, configured: Callable[..., Any]
) -> None:
    configured(storage={"reserve_mb": 1 << 40})
    assert "reserve" in (write_receive_policy() or "")
    write_receive_policy()
    configured(storage={"reserve_mb": 0})
    assert write_receive_policy() is None
    assert snapshot(installation)["paused"] is None
    kinds = list(Event.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["DISK_LOW", "RECEPTION_PAUSED", "RECEPTION_RESUMED"]


def test_a_full_quarantine_pauses(
    db: None,
    installation: Layout,
    configured: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configured(storage={"reserve_mb": 0}, quarantine={"quota_mb": 1})
    monkeypatch.setattr("isocenter.apps.routing.queries.quarantine_size", lambda: 1 << 20)
    assert write_receive_policy() == "the quarantine has reached its quota of 1 MB"


def test_it_is_written_only_when_it_says_something_new(
    db: None, installation: Layout, configured: Callable[..., Any]
) -> None:
    configured(storage={"reserve_mb": 0})
    write_receive_policy()
    before = (installation.run / "receive-policy.json").stat().st_ino
    write_receive_policy()
    assert (installation.run / "receive-policy.json").stat().st_ino == before
