"""The reference data through the whole way in: import, spool, archive, index."""

from __future__ import annotations

from pathlib import Path

from isocenter.apps.archive import facts, jobs
from isocenter.apps.archive.importing import spool_import
from isocenter.apps.archive.models import Instance, Study
from isocenter.apps.routing.models import QuarantineItem

from .conftest import Intake, after


def test_every_malformed_file_is_indexed_or_in_quarantine(
    intake: Intake, shared_data: Path
) -> None:
    report = spool_import([shared_data / "malformed"], intake.spool)
    assert intake.reader.drain() is not None
    assert report.imported > 10
    attempts = sum(item.attempts for item in QuarantineItem.objects.all())
    files = Instance.objects.count()
    assert files + attempts <= report.imported
    assert files + attempts >= report.imported - 5  # the same data set twice is stored once
    assert len(intake.files()) == files
    for study in Study.objects.all():
        jobs.tick(after(study, 1000))
    assert set(Study.objects.values_list("state", flat=True)) <= {"complete", "receiving"}


NAMES = {
    "قباني^لنزار",
    "Buc^Jérôme",
    "Äneas^Rüdiger",
    "Διονυσιος",
    "Люкceмбypг",
    "שרון^דבורה",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "Hong^Gildong=洪^吉洞=홍^길동",
    "やまだ^たろう",
    "김희중",
    "Wang^XiaoDong=王^小東",
    "Wang^XiaoDong=王^小东",
}


def test_names_are_found_in_every_character_set(intake: Intake, shared_data: Path) -> None:
    spool_import([shared_data / "charsets"], intake.spool)
    intake.reader.drain()
    assert set(Study.objects.values_list("patient_name", flat=True)) >= NAMES


def test_the_real_structure_set_waits_for_its_images_only(
    intake: Intake, shared_data: Path
) -> None:
    folder = shared_data / "rt_STS_001" / "CT"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    structure = [path for path in files if b"RTSTRUCT" in path.read_bytes()[:4000]]
    images = [path for path in files if path not in structure and path.suffix == ".dcm"]
    assert structure
    spool_import(structure, intake.spool)
    intake.reader.drain()
    study = Study.objects.get()
    jobs.tick(after(study, 60))
    waiting = Study.objects.get().waiting_for
    assert any("named by RTSTRUCT" in sentence for sentence in waiting)
    spool_import(images, intake.spool)
    intake.reader.drain()
    study = Study.objects.get()
    jobs.tick(after(study, 60))
    study = Study.objects.get()
    assert (study.state, study.revision) == ("complete", 1)
    assert facts.missing_series(study, facts.referring(study)) == []
    assert len(study.warnings) == 1  # its ContourImageSequence names instances that nobody has
