"""Sentences as they stand in headers and reports: words of radiology, and somebody among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from deid_proof.annex_values import day
from deid_proof.identities import Person, word

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_LONG_MONTHS = [
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
]


@dataclass(frozen=True)
class Sentence:
    """A text, what of it says who somebody is, and what of it a researcher needs."""

    text: str
    removed: tuple[str, ...]
    retained: tuple[str, ...] = ()


def dates(when: date) -> list[str]:
    """One date in the notations that people use."""
    month, long_month = _MONTHS[when.month - 1], _LONG_MONTHS[when.month - 1]
    return [
        when.strftime("%Y%m%d"),
        when.strftime("%Y-%m-%d"),
        when.strftime("%d.%m.%Y"),
        when.strftime("%m/%d/%Y"),
        when.strftime("%d/%m/%y"),
        f"{when.day} {long_month} {when.year}",
        f"{long_month} {when.day}, {when.year}",
        f"{when.day:02d}-{month.upper()}-{when.year}",
        f"{month} {when.day}, {when.year}",
        f"{when.day}. {long_month} {when.year}",
        f"{when.year}/{when.month:02d}/{when.day:02d}",
        f"{when.day}-{month}-{when.year % 100:02d}",
    ]


def sentences(person: Person, number: int) -> list[Sentence]:
    """Sentences about a person; ``number`` turns the notations."""
    family, given = person.family, person.given.split()[0]
    doctor, doctor_given = person.referring
    stranger, friend = word(200_000 + 2 * number), word(200_001 + 2 * number)
    notations = dates(day(person, number))
    when, then = notations[number % len(notations)], notations[(number + 5) % len(notations)]
    spoken = person.spoken[number % len(person.spoken)]
    return [
        Sentence(
            f"CT ABDOMEN WITH CONTRAST {family.upper()}", (family,), ("CT", "ABDOMEN", "CONTRAST")
        ),
        Sentence(f"Chest PA, Dr. {doctor}", (doctor,), ("Chest", "PA")),
        Sentence(f"{family}, {given} MRI brain", (family, given), ("MRI", "brain")),
        Sentence(f"{given[0]}. {family} lung nodule left", (family,), ("lung", "nodule", "left")),
        Sentence(f"AX T1 FSE for Mr {stranger}", (stranger,), ("AX", "T1", "FSE")),
        Sentence(f"Axial T2 FLAIR done {when}", (when,), ("Axial", "T2", "FLAIR")),
        Sentence(
            f"MRN {person.patient_id} liver lesion", (person.patient_id,), ("liver", "lesion")
        ),
        Sentence(
            f"Call {person.phone} or {person.local_phone}", (person.phone, person.local_phone)
        ),
        Sentence(
            f"Lives at {person.street}, {person.city}",
            (person.street.split()[1], person.city),
        ),
        Sentence(f"Report to {person.mail}", (person.mail, person.mail.split("@")[0])),
        Sentence(
            f"Pelvis without contrast, seen by {doctor_given} {doctor} on {then}",
            (doctor, doctor_given, then),
            ("Pelvis", "without", "contrast"),
        ),
        Sentence(f"{given} {family} knee right", (given, family), ("knee", "right")),
        Sentence(
            f"Prof. Dr. {stranger}-{friend}: portal venous phase",
            (stranger, friend),
            ("portal", "venous", "phase"),
        ),
        Sentence(
            f"Patient {spoken} was born {dates(person.birth)[number % 12]}",
            (spoken, dates(person.birth)[number % 12]),
        ),
        Sentence(f"THORAX 3.0 B31F {spoken}", (spoken,), ("THORAX",)),
        Sentence(
            f"Cardiac MR, accession ACC{88_000 + 2 * person.number}, {person.institution}",
            (f"ACC{88_000 + 2 * person.number}", person.institution.split()[0]),
            ("Cardiac", "MR"),
        ),
        Sentence(
            f"https://{friend.lower()}.example/p/{person.patient_id} cervical spine",
            (friend.lower(), person.patient_id),
            ("cervical", "spine"),
        ),
        Sentence(f"{family.upper()}^{given.upper()} hip", (family, given), ("hip",)),
    ]


#: Attributes that Clean Descriptors keeps and cleans, with the length that their VR allows.
DESCRIPTORS = {
    "StudyDescription": 64,
    "SeriesDescription": 64,
    "ProtocolName": 64,
    "ImageComments": 10240,
    "AdditionalPatientHistory": 10240,
    "RequestedProcedureDescription": 64,
    "PerformedProcedureStepDescription": 64,
    "ReasonForStudy": 64,
    "AcquisitionProtocolDescription": 64,
    "DerivationDescription": 1024,
    "CommentsOnThePerformedProcedureStep": 1024,
    "AdmittingDiagnosesDescription": 64,
    "AcquisitionComments": 10240,
}
