"""The modules that every object of the set has (PS3.3 C.7), and what is planted in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from deid_proof.annex_values import day, uid
from deid_proof.identities import Person, word
from deid_proof.plants import Place, Plant

#: Modality to manufacturer, model and software: they stay under every policy.
EQUIPMENT = {
    "CT": ("GE MEDICAL SYSTEMS", "Revolution CT", "sles_hde.135"),
    "MR": ("SIEMENS", "Prisma", "syngo MR E11"),
    "US": ("Philips Medical Systems", "EPIQ 7C", "7.0.1.1227"),
    "CR": ("Agfa", "CR85", "NIM_2102"),
}


class Uids:
    """Instance UIDs by name: the same name gives the same UID, so that references meet."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            self._known[name] = uid(len(self._known))
        return self._known[name]


def study_number(modality: str) -> int:
    """CT and what belongs to it are in the first study, MR in one 37 days later."""
    return 1 if modality in {"MR", "US", "WAVE"} else 0


def begin(
    person: Person,
    serial: int,
    plants: list[Plant],
    uids: Uids,
    *,
    sop_class: str,
    modality: str,
    kind: str,
    study: int,
) -> Place:
    """Patient, General Study, General Series, Equipment and SOP Common modules."""
    place = Place(Dataset(), serial, plants)
    stem = f"{person.number}/{study}"
    if person.charset:
        place.put("SpecificCharacterSet", list(person.charset))
    place.keep(SOPClassUID=sop_class, Modality=modality, InstanceNumber=str(serial))
    place.plant("SOPInstanceUID", uids[f"{stem}/{kind}/{serial}"], "uid")
    place.plant("StudyInstanceUID", uids[stem], "uid")
    place.plant("SeriesInstanceUID", uids[f"{stem}/{kind}"], "uid")
    place.keep(SeriesNumber=str(100 * study + len(kind)))
    _patient(place, person)
    _study(place, person, study)
    maker, model, software = EQUIPMENT.get(modality, ("Elekta", "XVI", "R5.0.4"))
    place.keep(Manufacturer=maker, ManufacturerModelName=model, SoftwareVersions=software)
    place.plant(
        "InstitutionName", person.institution, "identity", removed=_words(person.institution)
    )
    return place


def _words(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split() if part not in {"Hospital", "Street"})


def _patient(place: Place, person: Person) -> None:
    place.plant("PatientName", person.name, "patient name", removed=person.terms)
    place.plant("PatientID", person.patient_id, "patient id", retained=(person.issuer,))
    place.plant("IssuerOfPatientID", person.issuer, "identity")
    place.plant("PatientBirthDate", person.birth.strftime("%Y%m%d"), "birth date")
    place.plant(
        "PatientSex",
        person.sex,
        "annex",
        basic="Z",
        options={"retain-patient-characteristics": "K"},
    )
    place.plant("PatientAge", "095Y" if person.number == 1 else "057Y", "age")
    place.plant(
        "PatientAddress",
        f"{person.street}, {person.city}",
        "identity",
        removed=(person.street.split()[1], person.city),
    )
    place.plant("PatientTelephoneNumbers", person.phone, "identity")
    place.plant(
        "OtherPatientIDs",
        [f"SSN{person.number}87-65-43", f"KV{person.number}A99031"],
        "identity",
        "LO",
    )
    place.plant(
        "PatientComments",
        f"Neighbour of {word(80_000 + person.number)}",
        "identity",
        removed=(word(80_000 + person.number),),
    )


def study_day(person: Person, study: int) -> Any:
    """Date of a study: the second is 37 days after the first."""
    return person.first_study + timedelta(days=37 * study)


def _study(place: Place, person: Person, study: int) -> None:
    when = study_day(person, study)
    place.plant("StudyDate", when.strftime("%Y%m%d"), "date")
    place.plant("SeriesDate", when.strftime("%Y%m%d"), "date")
    place.plant("ContentDate", (when + timedelta(days=1)).strftime("%Y%m%d"), "date")
    place.plant("StudyTime", f"{8 + study % 10:02d}1{person.number % 6}33.25", "time")
    place.put("ContentTime", f"{9 + study % 10:02d}2130")
    place.plant("AccessionNumber", f"ACC{88_000 + 2 * person.number + study}", "identity")
    place.plant("StudyID", f"SID{66_000 + 2 * person.number + study}", "identity")
    place.plant(
        "ReferringPhysicianName", "^".join(person.referring), "identity", removed=person.referring
    )
    place.plant("OperatorsName", "^".join(person.operator), "identity", removed=person.operator)
    place.put("StudyDescription", "CT ABDOMEN")
    place.put("SeriesDescription", "AXIAL")
    for keyword in ("PatientName", "StudyDate", "ReferringPhysicianName", "StudyID", "PatientID"):
        place.plants.append(Plant(place.serial, place.path(keyword), "", "present", ""))


def image(
    place: Place,
    pixels: np.ndarray[Any, Any],
    *,
    color: bool = False,
    allocated: int = 16,
    keep: bool = True,
    inverted: bool = False,
) -> None:
    """Image Pixel module; ``pixels`` are frames × rows × columns (× 3) or one frame."""
    frames = pixels.reshape((-1, *pixels.shape[-3 if color else -2 :]))
    place.keep(
        SamplesPerPixel=3 if color else 1,
        PhotometricInterpretation="RGB" if color else f"MONOCHROME{1 if inverted else 2}",
        Rows=frames.shape[1],
        Columns=frames.shape[2],
        BitsAllocated=allocated,
        BitsStored=12 if allocated == 16 else allocated,
        HighBit=11 if allocated == 16 else allocated - 1,
        PixelRepresentation=0,
    )
    if color:
        place.put("PlanarConfiguration", 0)
    if len(frames) > 1:
        place.keep(NumberOfFrames=str(len(frames)))
    data = np.ascontiguousarray(frames).astype("<u2" if allocated == 16 else "u1").tobytes()
    place.put("PixelData", data + b"\0" * (len(data) % 2), "OW" if allocated == 16 else "OB")
    if keep:
        place.plants.append(Plant(place.serial, place.path("PixelData"), "OW", "pixels", ""))


def noise(shape: tuple[int, ...], serial: int, top: int = 900) -> np.ndarray[Any, Any]:
    """Pixels with a pattern: the same for the same serial number."""
    generator = np.random.default_rng(serial)
    return generator.integers(100, top, size=shape, dtype=np.uint16)


def plane(place: Place, uids: Uids, person: Person, study: int, slice_number: int) -> None:
    """Frame of Reference and Image Plane modules."""
    place.plant("FrameOfReferenceUID", uids[f"{person.number}/{study}/frame"], "uid")
    place.put("PositionReferenceIndicator", "")
    place.keep(
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-160, -160, slice_number * 5],
        PixelSpacing=[0.78125, 0.78125],
        SliceThickness="5",
        SliceLocation=str(slice_number * 5),
    )


def reference(place: Place, sequence: str, sop_class: str, sop_uid: str) -> Place:
    """An item that refers to another object (PS3.3 10.8)."""
    item = place.item(sequence)
    item.keep(ReferencedSOPClassUID=sop_class)
    item.plant("ReferencedSOPInstanceUID", sop_uid, "uid")
    return item


def free_date(person: Person, number: int) -> str:
    """A DA value in the person's life."""
    return day(person, number).strftime("%Y%m%d")
