"""Makes the planted-identity set.

    python tests/deid_proof/generate.py FOLDER

Writes ``FOLDER/headers``, ``FOLDER/pixels``, ``FOLDER/documents`` and, for each policy of the
proof, ``FOLDER/answers_POLICY.db``. The same seed gives the same bytes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from deid_proof import answers, burned_in, documents, hiding, images, other_objects, reports
from deid_proof.annex_values import Values, plant_row, rows_to_plant
from deid_proof.expectations import POLICIES
from deid_proof.free_text import DESCRIPTORS, sentences
from deid_proof.identities import Person, people
from deid_proof.katakana import as_latin, put_right
from deid_proof.modules import Uids
from deid_proof.plants import Place, Plant
from deid_proof.samples import digest

Builder = Callable[[Person, int, list[Plant], Uids, int], Place]

#: Builders of one patient's objects; those that refer to the CT get its first serial number.
SERIES: tuple[tuple[Builder, int], ...] = (
    (images.ct, 4),
    (images.mr, 3),
    (images.us, 1),
    (images.cr, 1),
    (images.sc, 1),
    (images.enhanced, 1),
)
DEPENDENT: tuple[Builder, ...] = (
    other_objects.structure_set,
    other_objects.plan,
    other_objects.dose,
    other_objects.segmentation,
    other_objects.presentation,
    other_objects.waveform,
    reports.measurement,
    reports.report,
    reports.key_object,
)
ANNEX_PER_OBJECT = 11
SWEEP_PER_OBJECT = 6


@dataclass(frozen=True)
class PlantedSet:
    """What was made.

    Attributes:
        folder: where.
        plants: every planted value.
        objects: how many files.
        answers: number of checks by policy.
    """

    folder: Path
    plants: tuple[Plant, ...]
    objects: int
    answers: dict[str, int]


def transfer_syntax(place: Place) -> str:
    """The transfer syntax of an object: all the uncompressed ones, and one compressed."""
    serial = place.serial
    dataset = place.dataset
    is_rgb = dataset.get("SamplesPerPixel") == 3
    if (dataset.SOPClassUID == images.CT and serial % 5 == 1) or (is_rgb and serial % 3 == 0):
        return str(RLELossless)
    if serial % 4 == 0:
        return str(ImplicitVRLittleEndian)
    if serial % 23 == 0:
        return str(ExplicitVRBigEndian)
    if serial % 29 == 0:
        return str(DeflatedExplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian)


class Generator:
    """Fills a folder."""

    def __init__(self, folder: Path, persons: int) -> None:
        self.folder = folder
        self.persons = people()[:persons]
        self.plants: list[Plant] = []
        self.headers: dict[int, tuple[str, Dataset]] = {}
        self.refusable: set[int] = set()
        self.uids = Uids()
        self.values = Values(1_000)
        self._rows = rows_to_plant()
        self._next_row = 0
        self._next_unlisted = 0
        self.serial = 0

    def run(self) -> PlantedSet:
        """Make all of it."""
        for person in self.persons:
            for index, place in enumerate(self._everyday(person)):
                self._enrich(place, person, index)
                self._save(place, person, f"headers/{person.patient_id}_{person.number}")
        self._apart("pixels", burned_in.burned, 3 * len(self.persons))
        self._apart("pixels", burned_in.plain, 3)
        self._apart("documents", documents.document, 6)
        counts = {
            name: answers.write(
                self.folder / f"answers_{name}.db",
                self.headers,
                self.plants,
                policy,
                frozenset(self.refusable),
            )
            for name, policy in POLICIES.items()
        }
        return PlantedSet(self.folder, tuple(self.plants), self.serial, counts)

    def _everyday(self, person: Person) -> Iterator[Place]:
        first = self.serial + 1
        for builder, count in SERIES:
            for index in range(count):
                yield builder(person, self._number(), self.plants, self.uids, index)
        for builder in DEPENDENT:
            yield builder(person, self._number(), self.plants, self.uids, first)

    def _apart(self, folder: str, builder: Builder, count: int) -> None:
        """Objects in studies of their own, which may be refused."""
        drawable = {"ISO_IR 126", "ISO_IR 144", "ISO_IR 100", "ISO_IR 101"}
        everyone = [person for person in self.persons if drawable.issuperset(person.charset)]
        for index in range(count):
            person = everyone[index % len(everyone)]
            place = builder(person, self._number(), self.plants, self.uids, index)
            self.refusable.add(place.serial)
            self._save(place, person, folder)

    def _number(self) -> int:
        self.serial += 1
        return self.serial

    def _enrich(self, place: Place, person: Person, index: int) -> None:
        serial = place.serial
        self._describe(place, person)
        for _ in range(ANNEX_PER_OBJECT):
            plant_row(place, self._rows[self._next_row % len(self._rows)], person, self.values)
            self._next_row += 1
        hiding.private(place, person, self.values)
        hiding.safe_private(place, person, self.values)
        hiding.nested(place, person, self.values, serial)
        if serial % 7 == 0:
            hiding.unknown_vr(place, person, self.values)
        if index == 4:  # an MR slice of every patient
            hiding.rare_places(place, person, self.values)
        if serial % 5 == 0:
            hiding.standard_uids(place)
        hiding.sweep(place, person, self.values, self._next_unlisted, SWEEP_PER_OBJECT)
        self._next_unlisted += SWEEP_PER_OBJECT

    def _describe(self, place: Place, person: Person) -> None:
        """Sentences in attributes of description."""
        names = list(DESCRIPTORS)
        texts = sentences(person, place.serial)
        for turn in range(4):
            keyword = names[(place.serial * 3 + turn) % len(names)]
            text = texts[(place.serial * 5 + turn * 7) % len(texts)]
            if len(text.text) > DESCRIPTORS[keyword]:
                text = texts[turn]
            place.plant(
                keyword, text.text, "descriptor", removed=text.removed, retained=text.retained
            )

    def _save(self, place: Place, person: Person, folder: str) -> None:
        dataset = place.dataset
        syntax = transfer_syntax(place)
        dataset.file_meta = hiding.file_meta(
            place, person, self.values, str(ExplicitVRLittleEndian)
        )
        dataset.preamble = f"{person.patient_id} {person.family}".encode().ljust(128, b" ")[:128]
        self._digest(place)
        self.headers[place.serial] = (str(person.number), _identifiers(dataset))
        katakana = person.charset == ("ISO_IR 13",)
        if katakana:
            as_latin(dataset)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if syntax == RLELossless:
                dataset.compress(
                    RLELossless, encoding_plugin="pydicom", generate_instance_uid=False
                )
            elif syntax == ExplicitVRBigEndian and dataset.get("BitsAllocated") == 16:
                _swap(dataset)
            dataset.file_meta.TransferSyntaxUID = syntax
            target = self.folder / folder / f"IM{place.serial:05d}"
            target.parent.mkdir(parents=True, exist_ok=True)
            dcmwrite(
                target,
                dataset,
                enforce_file_format=True,
                implicit_vr=syntax == ImplicitVRLittleEndian,
                little_endian=syntax != ExplicitVRBigEndian,
            )
        if katakana:
            put_right(target)

    def _digest(self, place: Place) -> None:
        """Fill in what the pixels are."""
        for position in range(len(self.plants) - 1, -1, -1):
            plant = self.plants[position]
            if plant.serial != place.serial:
                break
            if plant.kind == "pixels":
                self.plants[position] = replace(plant, value=digest(place.dataset))


def _identifiers(dataset: Dataset) -> Dataset:
    """What the answer database says of an object."""
    found = Dataset()
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(found, keyword, dataset[keyword].value)
    return found


def _swap(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "OW" and element.value:
            element.value = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()


def generate(folder: Path, persons: int = 12) -> PlantedSet:
    """Make the set in an empty folder; fewer persons make a smaller one."""
    folder.mkdir(parents=True, exist_ok=True)
    return Generator(folder, persons).run()


if __name__ == "__main__":
    made = generate(Path(sys.argv[1]))
    print(f"{made.objects} objects, {len(made.plants)} planted values")
    for name, count in made.answers.items():
        print(f"  {name}: {count} answers")
