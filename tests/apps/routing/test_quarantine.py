"""Quarantine: kept with the reason, tried again, let go, exported, deleted; never evicted."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta

import pydicom
import pytest
from django.conf import settings
from django.utils import timezone

from isocenter.apps.archive.incoming import FilePayload, Incoming
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.models import Instance
from isocenter.apps.routing import queries
from isocenter.apps.routing.models import QuarantineItem
from isocenter.apps.routing.services import (
    delete_quarantined,
    export_quarantined,
    quarantine_instance,
    release_quarantined,
    retry_quarantined,
)
from isocenter.apps.routing.sweeping import sweep
from isocenter.core.errors import ConfigurationError, NotFound, RoutingError

from .conftest import SENDER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def changed(stored, tmp_path):
    """A study in the archive, and a file that has the UID of one of its instances."""
    study, _ = stored()
    ds = pydicom.dcmread(study.files[0])
    ds.SeriesDescription = "another"
    path = tmp_path / "changed.dcm"
    ds.save_as(path)
    return study, path


def take(path) -> None:
    ingest_records([Incoming(FilePayload(path), SENDER, timezone.now())])


def held() -> QuarantineItem:
    return QuarantineItem.objects.get(state="held")


def test_the_same_conflict_again_counts_on_and_takes_no_more_room(changed):
    _, path = changed
    take(path)
    size = queries.quarantine_size()
    take(path)
    item = held()
    assert item.attempts == 2
    assert item.kind == "instance"
    assert item.source == "SENDER"
    assert abs(queries.quarantine_size() - size) < 64
    assert size > path.stat().st_size
    folder = settings.LAYOUT.quarantine / str(item.pk)
    assert json.loads((folder / "item.json").read_text())["reason"] == item.reason
    assert pydicom.dcmread(next(folder.glob("*.dcm"))).SeriesDescription == "another"


def test_an_instance_that_is_tried_again_is_held_again_while_nothing_has_changed(changed):
    take(changed[1])
    item = retry_quarantined(held().pk)
    assert (item.state, item.attempts) == ("held", 2)


def test_an_instance_that_is_tried_again_is_taken_where_the_policy_allows_it(changed, configure):
    _study, path = changed
    take(path)
    item = held()
    configure(storage={"duplicate_policy": "replace"})
    retry_quarantined(item.pk)
    item.refresh_from_db()
    assert item.state == "resolved"
    row = Instance.objects.get(sop_uid=pydicom.dcmread(path).SOPInstanceUID)
    kept = pydicom.dcmread(settings.LAYOUT.archive / row.path)
    assert kept.SeriesDescription == "another"
    (other,) = QuarantineItem.objects.filter(state="held")  # the one that it replaced
    assert other.pk != item.pk


def test_the_only_copy_of_an_instance_cannot_be_let_go_but_deleted(changed):
    take(changed[1])
    item = held()
    with pytest.raises(RoutingError, match="only copy"):
        release_quarantined(item.pk)
    delete_quarantined(item.pk, actor="somebody")
    assert queries.quarantine_size() == 0
    assert not (settings.LAYOUT.quarantine / str(item.pk)).exists()
    with pytest.raises(RoutingError, match="deleted"):
        delete_quarantined(item.pk)


def test_export_to_a_folder_and_to_a_zip(changed, tmp_path):
    take(changed[1])
    item = held()
    count = export_quarantined(item.pk, tmp_path / "folder")
    assert count == len([p for p in (tmp_path / "folder").rglob("*") if p.is_file()]) == 2
    export_quarantined(item.pk, tmp_path / "item.zip")
    with zipfile.ZipFile(tmp_path / "item.zip") as archive:
        assert archive.testzip() is None
        assert "item.json" in archive.namelist()
    with pytest.raises(ConfigurationError, match="exists"):
        export_quarantined(item.pk, tmp_path / "item.zip")


def test_retention_deletes_only_what_is_older(changed, configure):
    take(changed[1])
    item = held()
    QuarantineItem.objects.update(last_at=timezone.now() - timedelta(days=40))
    assert sweep() == 0  # without a retention time it stays for ever
    configure(quarantine={"retention_days": 60})
    assert sweep() == 0
    configure(quarantine={"retention_days": 30})
    assert sweep() == 1
    item.refresh_from_db()
    assert item.state == "deleted"


def test_a_quota_pauses_reception_and_evicts_nothing(changed, configure):
    configure(quarantine={"quota_mb": 1})
    take(changed[1])
    policy = settings.LAYOUT.run / "receive-policy.json"
    assert json.loads(policy.read_text())["paused"] is None
    big = settings.LAYOUT.root / "big"
    big.write_bytes(bytes(1 << 20))
    item = quarantine_instance(big, "no DICOM", sop_uid="1.2.3")
    assert "quota" in json.loads(policy.read_text())["paused"]
    assert QuarantineItem.objects.filter(state="held").count() == 2
    delete_quarantined(item.pk)
    assert json.loads(policy.read_text())["paused"] is None


def test_a_uid_from_outside_is_no_path(transactional_db, installation):
    path = installation.root / "file"
    path.write_bytes(b"x")
    item = quarantine_instance(path, "why", sop_uid="../../../etc/passwd")
    files = list((installation.quarantine / str(item.pk)).iterdir())
    assert {file.suffix for file in files} == {".dcm", ".json"}


def test_ids_can_be_shortened_while_they_are_clear(changed):
    take(changed[1])
    item = held()
    assert queries.quarantine_item(str(item.pk)[:8]) == item
    for wrong in ("ab", "zzzz", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            queries.quarantine_item(wrong)
