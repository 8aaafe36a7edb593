"""The power goes while the ingest works: it begins again and nothing acknowledged is missing."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from append_only import unguarded
from crash.disk_model import tosses
from crash.disk_recorder import DiskRecorder, PowerCut
from isocenter.core.dicom.part10 import FileMeta, encode_file_meta
from isocenter.core.phantoms import head_phantom
from isocenter.runtime.layout import Layout
from stand.raw_peer import EXPLICIT, encoded

pytestmark = pytest.mark.django_db(transaction=True)

_SEGMENT_BYTES = 64 << 10


@dataclass(frozen=True)
class Sent:
    """One acknowledged instance."""

    sop_uid: str
    data_set: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data_set).hexdigest()


def instances() -> list[Sent]:
    """Two small studies and one with a big image, which is written past the page cache; one
    instance twice the same, one twice with a change, one unreadable."""
    images = []
    for key in ("one", "two"):
        study = head_phantom(key, slices=3, rows=32, columns=32, spacing_mm=6.0)
        images += [*study.images, study.structure_set]
    images += head_phantom("big", slices=3, rows=400, columns=400, spacing_mm=6.0).images[:1]
    found = [Sent(str(ds.SOPInstanceUID), encoded(ds)) for ds in images]
    changed = images[1]
    changed.SeriesDescription = "changed"
    found += [found[0], Sent(str(changed.SOPInstanceUID), encoded(changed))]
    return [*found, Sent("1.2.3.4.5", b"this is no data set at all, but it was acknowledged")]


def fill_spool(layout: Layout, sent: list[Sent]) -> None:
    """What a receiver leaves that was told to stop: closed segments."""
    from isocenter.apps.archive.spool import Spool

    with Spool(layout.spool, segment_bytes=_SEGMENT_BYTES) as spool, spool.writer() as writer:
        for one in sent:
            head = encode_file_meta(FileMeta("1.2.840.10008.5.1.4.1.1.2", one.sop_uid, EXPLICIT))
            meta = {
                "kind": "dimse",
                "calling_ae_title": "SENDER",
                "sop_instance_uid": one.sop_uid,
                "transfer_syntax_uid": EXPLICIT,
                "received_at": datetime.now(UTC).isoformat(),
                "dataset_offset": len(head),
            }
            with writer.begin(meta, head) as record:
                record.commit(one.data_set)


@contextmanager
def living_in(root: Path) -> Iterator[Layout]:
    """The installation is in this folder now."""
    layout = Layout(root)
    before = settings.ISOCENTER, settings.LAYOUT
    settings.ISOCENTER = before[0].model_copy(update={"data_dir": root})
    settings.LAYOUT = layout
    try:
        yield layout
    finally:
        settings.ISOCENTER, settings.LAYOUT = before


def take_in(layout: Layout) -> None:
    """One life of the ingest, as its process begins it."""
    from isocenter.apps.archive.intake import SpoolIntake

    intake = SpoolIntake(layout.spool)
    intake.forget_stale_cursors()
    assert intake.drain() is not None


def data_set_of(path: Path) -> bytes:
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def assert_all_there(layout: Layout, sent: list[Sent]) -> None:
    """Each data set is in the archive under its row, or in quarantine with a reason."""
    from isocenter.apps.archive.models import Instance, SpoolCursor
    from isocenter.apps.routing.models import QuarantineItem

    kept = {(i.sop_uid, hashlib.sha256(data_set_of(layout.archive / i.path)).hexdigest())
            for i in Instance.objects.all()}  # fmt: skip
    for instance in Instance.objects.all():
        assert (instance.sop_uid, instance.digest) in kept, "a row and its file differ"
    for item in QuarantineItem.objects.filter(state="held"):
        assert item.reason
        kept.add((item.sop_uid, _quarantined_digest(layout, item)))
    missing = [one.sop_uid for one in sent if (one.sop_uid, one.digest) not in kept]
    assert not missing, f"{len(missing)} of {len(sent)} are neither here nor in quarantine"
    assert Instance.objects.count() == 9, "each instance once"
    left = list((layout.spool / "segments").iterdir())
    assert not left, "the spool is empty"
    assert not SpoolCursor.objects.exists()


def _quarantined_digest(layout: Layout, item: Any) -> str:
    path = layout.quarantine / item.path
    files = sorted(path.rglob("*.dcm")) if path.is_dir() else [path]
    assert files, f"quarantine has a row and no file: {item.path}"
    return hashlib.sha256(data_set_of(files[0])).hexdigest()


def forget_everything() -> None:
    """An empty database, for the next cut."""
    from django.apps import apps
    from django.db import connection

    tables = [
        f'"{model._meta.db_table}"'
        for label in ("archive", "routing", "audit")
        for model in apps.get_app_config(label).get_models()
    ]
    with connection.cursor() as cursor:
        for statement in unguarded(f"TRUNCATE {', '.join(tables)} CASCADE"):
            cursor.execute(statement)


def ingest_until(layout: Layout, stop_at: int | None, patch: pytest.MonkeyPatch) -> DiskRecorder:
    """Take in until the power goes after ``stop_at`` changes; committed rows stay."""
    with living_in(layout.root), patch.context() as inner:
        recorder = DiskRecorder(layout.root, stop_at).install(inner)
        with contextlib.suppress(PowerCut):
            take_in(layout)
    return recorder


def make_installation(root: Path, sent: list[Sent]) -> Layout:
    """An empty database and a spool with everything in it."""
    forget_everything()
    layout = Layout(root)
    layout.create()
    fill_spool(layout, sent)
    return layout


def test_cut_anywhere_and_begun_again_everything_is_there(tmp_path, monkeypatch, every_cut):
    sent = instances()
    whole = ingest_until(make_installation(tmp_path / "whole", sent), None, monkeypatch)
    total = len(whole.changes)
    assert total > 60
    with living_in(tmp_path / "whole") as layout:
        assert_all_there(layout, sent)

    for stop_at in range(0, total + 1, 1 if every_cut else total // 9):
        ways = len(list(tosses(stop_at)))
        for way in range(ways) if every_cut else (0, 1 + stop_at % (ways - 1)):
            root = tmp_path / f"cut-{stop_at}-{way}"
            recorder = ingest_until(make_installation(root / "data", sent), stop_at, monkeypatch)
            how, toss = list(tosses(stop_at))[way]
            recorder.disk_at(len(recorder.changes)).write_left(root / "left", toss)
            with living_in(root / "left") as after:
                try:
                    take_in(after)
                    assert_all_there(after, sent)
                except Exception as error:
                    done = recorder.changes[-1] if recorder.changes else None
                    raise AssertionError(
                        f"power cut after change {stop_at} of {total} ({done and done.kind} "
                        f"{done and done.path}), {how}: {error}"
                    ) from error
            shutil.rmtree(root)


def test_the_proof_itself_finds_an_ingest_that_does_not_sync_names(tmp_path, monkeypatch):
    """A check that cannot fail proves nothing."""
    from isocenter.apps.archive import filing

    sent = instances()
    layout = make_installation(tmp_path / "data", sent)
    monkeypatch.setattr(filing, "sync_folder", lambda folder: None)
    recorder = ingest_until(layout, None, monkeypatch)
    nothing = next(toss for _, toss in tosses(0))
    recorder.disk_at(len(recorder.changes)).write_left(tmp_path / "left", nothing)
    with living_in(tmp_path / "left") as after, pytest.raises((AssertionError, OSError)):
        assert_all_there(after, sent)
