"""``isocenter deidentify`` on the planted-identity set: 100 % on headers, every box covered."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

from deid_proof.expectations import PIXELS_HIDDEN, POLICIES
from deid_proof.generate import PlantedSet
from deid_proof.reading import read_folder, walk
from deid_proof.running import OTHER_PROJECT, bytes_of, deidentify, scored

#: The Basic Profile is proven on all patients, the options on as many as a short run allows.
PATIENTS = {"basic": 12, "descriptors": 6, "shift": 4, "safe-private": 2, "uids": 2}


@pytest.mark.parametrize("name", list(POLICIES))
def test_headers_are_clean_and_whole(
    planted: PlantedSet, tmp_path: Path, scratch: Path, name: str
) -> None:
    source = _patients(planted.folder / "headers", tmp_path / "in", PATIENTS[name])
    output = tmp_path / "out"
    run = deidentify(source, output, POLICIES[name].arguments)
    outcome = scored(source, output, planted.folder / f"answers_{name}.db", scratch)
    assert outcome.perfect, f"{run.stdout[-2000:]}\n{outcome.table()}"
    assert run.returncode == 0, run.stdout + run.stderr


def _patients(headers: Path, target: Path, count: int) -> Path:
    """A folder with some of the patients; the last shares an ID with the first."""
    target.mkdir()
    folders = sorted(headers.iterdir(), key=lambda folder: int(folder.name.rsplit("_")[-1]))
    chosen = folders if count == len(folders) else [*folders[: count - 1], folders[-1]]
    for folder in chosen:
        shutil.copytree(folder, target / folder.name, copy_function=os.link)
    return target


def test_burned_in_text_that_is_flagged_never_leaves_unseen(
    few: PlantedSet, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    run = deidentify(few.folder / "pixels", output)
    assert run.returncode == 3
    for one in read_folder(output)[0]:
        assert one.dataset.get("BurnedInAnnotation") != "YES"


def test_devices_without_a_template_are_refused(
    few: PlantedSet, tmp_path: Path, scratch: Path
) -> None:
    output = tmp_path / "out"
    arguments = ("--option", "clean-pixel-data", "--pixels", "templates")
    run = deidentify(few.folder / "pixels", output, arguments)
    outcome = scored(few.folder / "pixels", output, few.folder / "answers_basic.db", scratch)
    assert not outcome.failures, outcome.table()
    assert run.returncode == (3 if outcome.refused else 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_burned_in_box_is_covered(planted: PlantedSet, tmp_path: Path, scratch: Path) -> None:
    output = tmp_path / "out"
    arguments = ("--option", "clean-pixel-data", "--pixels", "ocr")
    run = deidentify(planted.folder / "pixels", output, arguments)
    outcome = scored(
        planted.folder / "pixels", output, planted.folder / "answers_basic.db", scratch
    )
    assert not outcome.failures, f"{run.stdout[-2000:]}\n{outcome.table()}"
    assert outcome.passed[PIXELS_HIDDEN] > 100


def test_encapsulated_documents_do_not_leave(few: PlantedSet, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run = deidentify(few.folder / "documents", output)
    assert run.returncode == 3
    assert read_folder(output)[0] == []


def test_dropped_documents_leave_nothing_behind(
    few: PlantedSet, tmp_path: Path, scratch: Path
) -> None:
    output = tmp_path / "out"
    deidentify(few.folder / "documents", output, ("--documents", "drop"))
    outcome = scored(few.folder / "documents", output, few.folder / "answers_basic.db", scratch)
    assert not outcome.failures, outcome.table()


@pytest.fixture(scope="module")
def once(few: PlantedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small set, de-identified with shifted dates."""
    output = tmp_path_factory.mktemp("once") / "out"
    deidentify(few.folder / "headers", output, ("--dates", "shift"))
    return output


def test_a_second_run_gives_the_same_bytes(few: PlantedSet, once: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    deidentify(few.folder / "headers", again, ("--dates", "shift"), processes=1)
    assert bytes_of(again) == bytes_of(once)
    deidentify(few.folder / "headers", again, ("--dates", "shift"))
    assert bytes_of(again) == bytes_of(once)


def test_two_projects_have_nothing_in_common(few: PlantedSet, once: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    deidentify(few.folder / "headers", other, ("--dates", "shift"), secret=OTHER_PROJECT)
    assert _names(once)
    assert not _names(once) & _names(other)


def _names(folder: Path) -> set[str]:
    """Instance UIDs and patients' IDs and names."""
    found = set()
    for path in folder.rglob("*.dcm"):
        dataset = dcmread(path, stop_before_pixels=True)
        found |= {str(dataset.PatientID), str(dataset.PatientName)}
        found |= {
            str(value)
            for _, vr, value in walk(dataset)
            if vr == "UI" and str(value).startswith("2.25.")
        }
    return found - {""}


def test_a_dry_run_releases_nothing(few: PlantedSet, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run = deidentify(few.folder / "headers", output, ("--dry-run",))
    assert run.returncode == 0, run.stdout + run.stderr
    assert not list(tmp_path.rglob("*.dcm"))


def test_nothing_is_said_of_who_they_were(few: PlantedSet, tmp_path: Path) -> None:
    run = deidentify(few.folder / "headers", tmp_path / "out")
    for text in ("Zubarik", "Marylou", "Yamagoshi", "山越", "7700413", "20140211"):
        assert text not in run.stdout + run.stderr
