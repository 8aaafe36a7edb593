"""The scorer passes a perfect result, and catches each kind of leak in a leaky one."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deid_proof.expectations import (
    DATE_SHIFTED,
    PATID_CONSISTENT,
    PIXELS_HIDDEN,
    PIXELS_RETAINED,
    POLICIES,
    TAG_RETAINED,
    TEXT_NOTNULL,
    TEXT_REMOVED,
    TEXT_RETAINED,
    UID_CHANGED,
    UID_CONSISTENT,
)
from deid_proof.generate import PlantedSet
from deid_proof.pairing import write_mappings
from deid_proof.perfect import Perfect
from deid_proof.reading import read_folder
from deid_proof.score import NO_LEAK, RELEASED, Score, score


def scored(planted: PlantedSet, output: Path, policy: str, scratch: Path, part: str) -> Score:
    """The score of an output set."""
    source = planted.folder / part
    uids, patients = write_mappings(read_folder(source)[0], read_folder(output)[0], scratch)
    return score(source, output, planted.folder / f"answers_{policy}.db", uids, patients)


@pytest.fixture(scope="session")
def perfect(few: PlantedSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Perfect results by policy."""
    results = {}
    for name in POLICIES:
        results[name] = tmp_path_factory.mktemp(f"perfect-{name}")
        Perfect(few.folder / f"answers_{name}.db").write(few.folder / "headers", results[name])
    return results


@pytest.mark.parametrize("policy", list(POLICIES))
def test_a_perfect_result_scores_a_hundred_per_cent(
    few: PlantedSet, perfect: dict[str, Path], scratch: Path, policy: str
) -> None:
    outcome = scored(few, perfect[policy], policy, scratch, "headers")
    assert outcome.perfect, outcome.table()
    assert outcome.passed[RELEASED] == 40


def test_an_untouched_set_fails_everywhere(few: PlantedSet, scratch: Path) -> None:
    outcome = scored(few, few.folder / "headers", "basic", scratch, "headers")
    assert outcome.passed[NO_LEAK] == 0
    assert outcome.passed[UID_CHANGED] == 0
    assert outcome.failed[TEXT_REMOVED] > 40 * outcome.passed[TEXT_REMOVED]
    assert not outcome.failed[TEXT_RETAINED]


Change = Callable[[Dataset], None]


def _set(keyword: str, value: object) -> Change:
    def change(dataset: Dataset) -> None:
        setattr(dataset, keyword, value)

    return change


def _private(value: bytes, vr: str = "UN") -> Change:
    def change(dataset: Dataset) -> None:
        block = dataset.private_block(0x0011, "SOMEBODY", create=True)
        block.add_new(0x01, vr, value)

    return change


def _nested(dataset: Dataset) -> None:
    inner, outer = Dataset(), Dataset()
    inner.PatientName = "Zubarik"
    outer.ViewModifierCodeSequence = Sequence([inner])
    dataset.ViewCodeSequence = Sequence([outer])


def _pixels(dataset: Dataset) -> None:
    samples = np.frombuffer(dataset.PixelData, np.uint8).copy()
    samples[3] ^= 1
    dataset.PixelData = samples.tobytes()


def _preamble(dataset: Dataset) -> None:
    dataset.preamble = b"MRN7700413".ljust(128, b"\0")


def _overlay(dataset: Dataset) -> None:
    dataset.add_new(0x60000010, "US", 64)
    dataset.add_new(0x60000011, "US", 160)
    dataset.add_new(0x60003000, "OW", bytes(range(256)) * 5)


#: What is changed in one object of a perfect result, and which check must say so. The first
#: patient's objects come in the order of serial numbers.
MUTATIONS: dict[str, tuple[str, int, Change, str]] = {
    "a name": ("basic", 1, _set("PatientName", "Somebody^Marylou"), TEXT_REMOVED),
    "a name in capitals": ("basic", 1, _set("PatientName", "ZUBARIK"), TEXT_REMOVED),
    "a name where none was": ("basic", 2, _set("DeviceID", "of Mrs Zubarik"), NO_LEAK),
    "a name in a private element": ("basic", 1, _private(b"O'Zubarik "), NO_LEAK),
    "a name in UTF-16": ("basic", 1, _private("Zubarik!".encode("utf-16-le")), NO_LEAK),
    "a name in ISO 2022": (
        "basic", 21, _private("山越太郎治".encode("iso2022_jp"), "OB"), NO_LEAK,
    ),
    "a name in an item": ("basic", 1, _nested, NO_LEAK),
    "an ID in the preamble": ("basic", 1, _preamble, NO_LEAK),
    "an accession number": ("basic", 5, _set("AccessionNumber", "ACC88001"), TEXT_REMOVED),
    "a date": ("basic", 1, _set("StudyDate", "20140211"), TEXT_REMOVED),
    "a date that stayed": ("shift", 1, _set("StudyDate", "20140211"), DATE_SHIFTED),
    "a date with its own shift": ("shift", 1, _set("StudyDate", "20140120"), DATE_SHIFTED),
    "a date that is none": ("shift", 1, _set("SeriesDate", "2014"), DATE_SHIFTED),
    "a date that is gone": ("shift", 1, _set("SeriesDate", ""), ""),
    "a UID that stayed": (
        "basic", 1, _set("FrameOfReferenceUID", "1.2.826.0.1.3680043.10.771.4000003"), UID_CHANGED,
    ),
    "a UID that is another one": ("basic", 2, _set("FrameOfReferenceUID", "2.25.1"), UID_CONSISTENT),
    "a UID that was to stay": ("uids", 2, _set("FrameOfReferenceUID", "2.25.1"), TEXT_RETAINED),
    "a technical value": ("basic", 1, _set("KVP", "121"), TEXT_RETAINED),
    "the manufacturer": ("basic", 1, _set("Manufacturer", ""), TEXT_RETAINED),
    "a Type 2 attribute": ("basic", 1, lambda dataset: dataset.pop("PatientName"), TAG_RETAINED),
    "an empty ID": ("basic", 1, _set("PatientID", ""), TEXT_NOTNULL),
    "another patient's ID": ("basic", 2, _set("PatientID", "P123"), PATID_CONSISTENT),
    "an age above 89": ("descriptors", 21, _set("PatientAge", "095Y"), TEXT_RETAINED),
    "words of radiology": ("descriptors", 2, _set("SeriesDescription", "X"), ""),
    "a sample": ("basic", 1, _pixels, PIXELS_RETAINED),
    "an overlay": ("basic", 5, _overlay, PIXELS_HIDDEN),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, case in MUTATIONS.items() if case[3]])
def test_each_leak_is_caught(
    few: PlantedSet, perfect: dict[str, Path], tmp_path: Path, scratch: Path, name: str
) -> None:
    policy, serial, change, action = MUTATIONS[name]
    output = tmp_path / "leaky"
    shutil.copytree(perfect[policy], output)
    _change_one(output, serial, change)
    outcome = scored(few, output, policy, scratch, "headers")
    caught = {failure.action for failure in outcome.failures}
    assert action in caught, outcome.table()
    assert {failure.serial for failure in outcome.failures} <= {serial, 0}


def _change_one(output: Path, serial: int, change: Change) -> None:
    for path in output.rglob("*.dcm"):
        dataset = dcmread(path)
        if int(dataset.InstanceNumber) == serial:
            change(dataset)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset.save_as(path, enforce_file_format=True)
            return
    raise AssertionError(f"no object {serial}")


def test_a_missing_object_is_caught(
    few: PlantedSet, perfect: dict[str, Path], tmp_path: Path, scratch: Path
) -> None:
    output = tmp_path / "leaky"
    shutil.copytree(perfect["basic"], output)
    next(output.rglob("*.dcm")).unlink()
    assert scored(few, output, "basic", scratch, "headers").failed[RELEASED] == 1


def test_a_report_beside_the_objects_is_searched(
    few: PlantedSet, perfect: dict[str, Path], tmp_path: Path, scratch: Path
) -> None:
    output = tmp_path / "leaky"
    shutil.copytree(perfect["basic"], output)
    (output / "report.json").write_text('{"who": "Marylou"}')
    assert scored(few, output, "basic", scratch, "headers").failed[NO_LEAK] == 1


def test_a_file_name_is_searched(
    few: PlantedSet, perfect: dict[str, Path], tmp_path: Path, scratch: Path
) -> None:
    output = tmp_path / "leaky"
    shutil.copytree(perfect["basic"], output)
    one = next(output.rglob("*.dcm"))
    one.rename(one.with_name("Tarouji.dcm"))
    assert scored(few, output, "basic", scratch, "headers").failed[NO_LEAK] == 1


def test_burned_in_text_that_stayed_is_caught(few: PlantedSet, scratch: Path) -> None:
    outcome = scored(few, few.folder / "pixels", "basic", scratch, "pixels")
    assert outcome.failed[PIXELS_HIDDEN] > 10
    assert not outcome.passed[PIXELS_HIDDEN]


def test_refused_images_are_no_failure(few: PlantedSet, tmp_path: Path, scratch: Path) -> None:
    outcome = scored(few, tmp_path, "basic", scratch, "pixels")
    assert outcome.refused == 9
    assert not outcome.failures
