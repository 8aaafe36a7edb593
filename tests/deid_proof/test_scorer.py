"""The scorer passes a perfect result, and catches each kind of leak in a leaky one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deid_proof import answers
from deid_proof.answers import Answered
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
from deid_proof.free_text import DESCRIPTORS
from deid_proof.generate import PlantedSet
from deid_proof.pairing import pairs, patient_mapping, uid_mapping, write_mappings
from deid_proof.perfect import Perfect
from deid_proof.reading import Read, read, read_folder
from deid_proof.score import NO_LEAK, RELEASED, Score, Scorer, Sets, score


class Bench:
    """The sets of the small planted set, read once."""

    def __init__(self, planted: PlantedSet) -> None:
        self.folder = planted.folder
        self._source: dict[str, list[Read]] = {}
        self._checks: dict[str, list[Answered]] = {}

    def source(self, part: str) -> list[Read]:
        """Objects of a part of the set."""
        if part not in self._source:
            self._source[part] = read_folder(self.folder / part)[0]
        return self._source[part]

    def score(
        self,
        objects: list[Read],
        policy: str,
        part: str = "headers",
        others: list[Path] | None = None,
    ) -> Score:
        """The score of an output set."""
        if policy not in self._checks:
            self._checks[policy] = list(answers.read(self.folder / f"answers_{policy}.db"))
        paired = pairs(self.source(part), objects)
        sets = Sets(
            self.source(part),
            objects,
            others or [],
            self._checks[policy],
            answers.read_free(self.folder / f"answers_{policy}.db"),
            uid_mapping(paired),
            patient_mapping(paired),
        )
        return Scorer(sets).run()


@pytest.fixture(scope="session")
def bench(few: PlantedSet) -> Bench:
    """See :class:`Bench`."""
    return Bench(few)


@pytest.fixture(scope="session")
def perfect(few: PlantedSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Read]]:
    """Perfect results by policy."""
    results = {}
    for name in POLICIES:
        output = tmp_path_factory.mktemp(f"perfect-{name}")
        Perfect(few.folder / f"answers_{name}.db").write(few.folder / "headers", output)
        results[name] = read_folder(output)[0]
    return results


@pytest.mark.parametrize("policy", list(POLICIES))
def test_a_perfect_result_scores_a_hundred_per_cent(
    bench: Bench, perfect: dict[str, list[Read]], policy: str
) -> None:
    outcome = bench.score(perfect[policy], policy)
    assert outcome.perfect, outcome.table()
    assert outcome.passed[RELEASED] == 40


def test_it_reads_files_alone(
    few: PlantedSet, perfect: dict[str, list[Read]], scratch: Path
) -> None:
    source = few.folder / "headers"
    output = perfect["basic"][0].path.parents[1]
    uids, patients = write_mappings(read_folder(source)[0], perfect["basic"], scratch)
    outcome = score(source, output, few.folder / "answers_basic.db", uids, patients)
    assert outcome.perfect, outcome.table()


def test_an_untouched_set_fails_everywhere(bench: Bench) -> None:
    outcome = bench.score(bench.source("headers"), "basic")
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


def _without_words(dataset: Dataset) -> None:
    for keyword in DESCRIPTORS:
        if keyword in dataset:
            setattr(dataset, keyword, "X")


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
    "a date that is gone": ("shift", 1, lambda dataset: dataset.pop("SeriesDate"), TAG_RETAINED),
    "a UID that stayed": (
        "basic", 1, _set("FrameOfReferenceUID", "1.2.826.0.1.3680043.10.771.4000003"), UID_CHANGED,
    ),
    "another UID": ("basic", 2, _set("FrameOfReferenceUID", "2.25.1"), UID_CONSISTENT),
    "a UID that was to stay": ("uids", 2, _set("FrameOfReferenceUID", "2.25.1"), TEXT_RETAINED),
    "a technical value": ("basic", 1, _set("KVP", "121"), TEXT_RETAINED),
    "the manufacturer": ("basic", 1, _set("Manufacturer", ""), TEXT_RETAINED),
    "a Type 2 attribute": ("basic", 1, lambda dataset: dataset.pop("PatientName"), TAG_RETAINED),
    "an empty ID": ("basic", 1, _set("PatientID", ""), TEXT_NOTNULL),
    "another patient's ID": ("basic", 2, _set("PatientID", "P123"), PATID_CONSISTENT),
    "an age above 89": ("descriptors", 21, _set("PatientAge", "095Y"), TEXT_RETAINED),
    "words of radiology": ("descriptors", 2, _without_words, TEXT_RETAINED),
    "a sample": ("basic", 1, _pixels, PIXELS_RETAINED),
    "an overlay": ("basic", 5, _overlay, PIXELS_HIDDEN),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_each_leak_is_caught(
    bench: Bench, perfect: dict[str, list[Read]], tmp_path: Path, name: str
) -> None:
    policy, serial, change, action = MUTATIONS[name]
    objects = list(perfect[policy])
    position = next(
        index for index, one in enumerate(objects) if one.dataset.InstanceNumber == serial
    )
    objects[position] = _changed(objects[position], tmp_path, change)
    outcome = bench.score(objects, policy)
    caught = {failure.action for failure in outcome.failures}
    assert action in caught, outcome.table()
    assert {failure.serial for failure in outcome.failures} <= {serial, 0}


def _changed(one: Read, folder: Path, change: Change) -> Read:
    dataset = dcmread(one.path)
    target = folder / one.path.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(dataset)
        dataset.save_as(target, enforce_file_format=True)
    changed = read(target)
    assert changed is not None
    return changed


def test_a_missing_object_is_caught(bench: Bench, perfect: dict[str, list[Read]]) -> None:
    assert bench.score(perfect["basic"][1:], "basic").failed[RELEASED] == 1


def test_two_patients_that_became_one_are_caught(
    bench: Bench, perfect: dict[str, list[Read]]
) -> None:
    one = patient_mapping(pairs(bench.source("headers"), perfect["basic"]))
    sets = Sets(
        bench.source("headers"), perfect["basic"], [], [], frozenset(), {}, dict.fromkeys(one, "P1")
    )
    assert Scorer(sets).run().failed[PATID_CONSISTENT] == 1


def test_a_report_beside_the_objects_is_searched(
    bench: Bench, perfect: dict[str, list[Read]], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    report.write_text('{"who": "Marylou"}')
    assert bench.score(perfect["basic"], "basic", others=[report]).failed[NO_LEAK] == 1


def test_a_file_name_is_searched(bench: Bench, perfect: dict[str, list[Read]]) -> None:
    first, *rest = perfect["basic"]
    named = replace(first, name="Tarouji/1.dcm")
    assert bench.score([named, *rest], "basic").failed[NO_LEAK] == 1


def test_burned_in_text_that_stayed_is_caught(bench: Bench) -> None:
    outcome = bench.score(bench.source("pixels"), "basic", "pixels")
    assert outcome.failed[PIXELS_HIDDEN] > 10
    assert not outcome.passed[PIXELS_HIDDEN]


def test_refused_images_are_no_failure(bench: Bench) -> None:
    outcome = bench.score([], "basic", "pixels")
    assert outcome.refused == len(bench.source("pixels"))
    assert not outcome.failures
