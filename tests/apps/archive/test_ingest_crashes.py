"""Whatever stage ingest dies at, the next one loses nothing and doubles nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError

from isocenter.apps.archive import filing, ingest, rows, staging
from isocenter.apps.archive.intake import SpoolIntake
from isocenter.apps.archive.models import Instance, Series, SpoolCursor, Study
from isocenter.apps.archive.spool import SpoolReader
from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import QuarantineItem

from .conftest import STUDY, Intake, image, start_ingest, the_study, wait_until


class PowerCut(BaseException):
    """The end of the process, as far as the code can tell."""


def cut(*args: Any, **more: Any) -> Any:
    raise PowerCut


def cut_after(real: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        raise PowerCut

    return wrapped


STAGES = {
    "before staging": (staging, "_copy", cut),
    "after staging": (staging.StagingArea, "stage", cut_after(staging.StagingArea.stage)),
    "before the files are placed": (filing.Filer, "place", cut),
    "after the files are placed": (filing.Filer, "place", cut_after(filing.Filer.place)),
    "before the folders are synced": (filing, "sync_folder", cut),
    "between the rows": (rows, "refresh_counts", cut),
    "before the events": (ingest, "record_many", cut),
    "before the cursor": (ingest, "_remember", cut),
    "after the cursor, before the commit": (ingest, "_remember", cut_after(ingest._remember)),
    "after the commit, before the segment goes": (SpoolReader, "discard", cut),
    "after the segment went": (SpoolReader, "discard", cut_after(SpoolReader.discard)),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stage", STAGES)
def test_a_crash_at_any_stage_loses_and_doubles_nothing(
    stage: str, transactional_db: None, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.send(*(image(n) for n in range(1, 6)), image(1), b"nonsense")
    intake.seal()
    with monkeypatch.context() as patch:
        patch.setattr(*STAGES[stage])
        with pytest.raises(PowerCut):
            intake.reader.drain()
    again = SpoolIntake(intake.layout.spool)
    again.forget_stale_cursors()
    assert again.drain() is not None
    assert the_study().instance_count == 5
    assert Series.objects.get().instance_count == 5
    assert Instance.objects.count() == 5
    assert QuarantineItem.objects.count() == 1
    assert len(intake.files()) == 5
    for row in Instance.objects.all():
        assert (intake.layout.archive / row.path).stat().st_size == row.size
    assert SpoolCursor.objects.count() == 0
    assert not list((intake.layout.spool / "segments").iterdir())


def test_what_the_database_refuses_is_taken_one_by_one(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rows.instance_row

    def picky(staged: Any, entry: Any, *args: Any) -> Instance:
        if entry.sop_uid.endswith(".3"):
            raise DataError("value of PATIENT^NAME is out of range")
        return real(staged, entry, *args)

    monkeypatch.setattr(rows, "instance_row", picky)
    intake.take(*(image(n) for n in range(1, 6)))
    assert the_study().instance_count == 4
    item = QuarantineItem.objects.get()
    assert "DataError" in item.reason
    assert "PATIENT" not in item.reason
    assert len(intake.files()) == 4


@pytest.mark.django_db(transaction=True)
def test_a_real_ingest_killed_again_and_again_ends_with_all(
    transactional_db: None, intake: Intake, tmp_path: Path
) -> None:
    total = 600
    intake.send(*(image(n, study=f"{STUDY}.{n % 5}") for n in range(1, total + 1)))
    intake.seal()
    staging_folder = intake.layout.archive / ".staging"
    for delay_s in (0.0, 0.05):
        process = start_ingest(intake)
        wait_until(partial(_has_entries, staging_folder, process.pid))
        time.sleep(delay_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start_ingest(intake)
    try:
        wait_until(lambda: Instance.objects.count() >= total)
        wait_until(lambda: not any((intake.layout.spool / "segments").iterdir()))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert Instance.objects.count() == total
    assert sum(study.instance_count for study in Study.objects.all()) == total
    assert len(intake.files()) == total
    assert QuarantineItem.objects.count() == 0
    assert not list((intake.layout.archive / ".staging").iterdir())


def _has_entries(folder: Path, pid: int) -> bool:
    return folder.is_dir() and any(path.name.startswith(f"{pid}-") for path in folder.iterdir())


@pytest.mark.django_db(transaction=True)
def test_a_record_that_the_disk_spoilt_costs_only_itself(
    transactional_db: None, intake: Intake
) -> None:
    intake.send(*(image(n) for n in range(1, 6)))
    intake.seal()
    (segment,) = (intake.layout.spool / "segments").glob("*.seg")
    reader = SpoolReader(intake.layout.spool)
    second = [record.payload_offset for record in reader.records(segment.stem)][1]
    with segment.open("r+b") as stream:
        stream.seek(second + 300)
        stream.write(b"rot")

    assert intake.reader.drain() is not None

    assert the_study().instance_count == 4
    assert list((intake.layout.spool / "damaged").glob("*.seg"))
    assert Event.objects.filter(kind="SPOOL_DAMAGED").count() == 1
