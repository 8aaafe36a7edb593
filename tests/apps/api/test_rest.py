"""Quarantine, events, system and settings through the API."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from isocenter.apps.audit.services import record
from isocenter.apps.routing.services import quarantine_instance

Caller = Any


def test_quarantine(admin: Caller, tmp_path: Path) -> None:
    file = tmp_path / "strange"
    file.write_bytes(b"no DICOM")
    item = quarantine_instance(file, "it is no DICOM", source="SENDER")
    (row,) = admin.get("quarantine", kind="instance").json()["items"]
    assert row["id"] == str(item.pk)
    detail = admin.get(f"quarantine/{row['id'][:8]}").json()
    assert detail["files"] == ["instance.dcm", "item.json"]
    kept = admin.get(f"quarantine/{row['id']}/export")
    content = zipfile.ZipFile(io.BytesIO(b"".join(kept.streaming_content)))
    assert content.read("instance.dcm") == b"no DICOM"
    assert admin.post(f"quarantine/{row['id']}/release").status_code == 422
    assert admin.delete(f"quarantine/{row['id']}").json()["state"] == "deleted"
    assert admin.get("quarantine").json()["items"] == []
    assert len(admin.get("quarantine", state="deleted").json()["items"]) == 1
    assert admin.get("quarantine", state="lost").status_code == 422


def test_events(admin: Caller, db: None) -> None:
    for number in range(5):
        record("C_ECHO", actor="someone", number=number)
    first = admin.get("events", kind="C_ECHO", limit=3).json()
    second = admin.get("events", kind="C_ECHO", limit=3, cursor=first["next"]).json()
    numbers = [row["detail"]["number"] for row in first["items"] + second["items"]]
    assert numbers == [4, 3, 2, 1, 0]
    assert second["next"] is None
    assert admin.get("events", actor="nobody").json()["items"] == []
    assert admin.get("events", kind="NOTHING").status_code == 422
    one = first["items"][0]
    assert admin.get(f"events/{one['id']}").json() == one


def test_events_are_exported(admin: Caller) -> None:
    record("C_ECHO", actor="someone")
    answer = admin.get("events/export", form="csv")
    assert b"actor" in b"".join(answer.streaming_content)
    assert admin.get("events", kind="EVENTS_EXPORTED").json()["items"]
    assert admin.get("events/export", form="xml").status_code == 422


def test_settings_say_where_they_were_written(admin: Caller) -> None:
    found = {row["key"]: row for row in admin.get("settings").json()["items"]}
    assert found["receiver.port"]["value"] == "11112"
    assert found["receiver.port"]["place"] == "default"
    some = admin.get("settings", search="receiver.port").json()["items"]
    assert [row["key"] for row in some] == ["receiver.port"]


def test_system(admin: Caller) -> None:
    found = admin.get("system").json()
    assert found["checks"]["database"]["ok"]
    assert found["ready"] is False
    assert "studies" in found["counts"]
    assert found["disk"]["total"] > found["disk"]["free"]
