"""Structured reports and key objects (PS3.3 C.17) of the planted-identity set."""

from __future__ import annotations

from datetime import timedelta

from deid_proof.free_text import sentences
from deid_proof.identities import Person, word
from deid_proof.images import CT
from deid_proof.modules import Uids, begin, study_day
from deid_proof.other_objects import ct_uid
from deid_proof.plants import Place, Plant

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"


def _root(
    place: Place, person: Person, uids: Uids, first: int, title: tuple[str, str, str]
) -> None:
    place.put("SeriesDescription", "REPORT")
    place.put("ReferencedPerformedProcedureStepSequence", [])
    place.put("PerformedProcedureCodeSequence", [])
    place.keep(ValueType="CONTAINER", ContinuityOfContent="SEPARATE")
    place.code("ConceptNameCodeSequence", title[0], title[1], title[2], keep=True)
    evidence = place.item("CurrentRequestedProcedureEvidenceSequence")
    evidence.plant("StudyInstanceUID", uids[f"{person.number}/0"], "uid")
    series = evidence.item("ReferencedSeriesSequence")
    series.plant("SeriesInstanceUID", uids[f"{person.number}/0/CT"], "uid")
    referenced = series.item("ReferencedSOPSequence")
    referenced.keep(ReferencedSOPClassUID=CT)
    referenced.plant("ReferencedSOPInstanceUID", ct_uid(person, uids, first), "uid")


def content(
    parent: Place, relation: str, value_type: str, concept: tuple[str, str, str], *, keep: bool
) -> Place:
    """A content item; ``keep`` says that its type and concept must stay with Clean Structured
    Content."""
    item = parent.item("ContentSequence")
    facts = {"RelationshipType": relation, "ValueType": value_type}
    for keyword, value in facts.items():
        if keep:
            item.plant(keyword, value, "content")
        else:
            item.put(keyword, value)
    name = item.item("ConceptNameCodeSequence")
    for keyword, value in zip(
        ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), concept, strict=True
    ):
        if keep:
            name.plant(keyword, value, "content")
        else:
            name.put(keyword, value)
    return item


def number(parent: Place, concept: tuple[str, str, str], value: str) -> Place:
    """A NUM item in millimetres, which must stay."""
    item = content(parent, "CONTAINS", "NUM", concept, keep=True)
    measured = item.item("MeasuredValueSequence")
    measured.plant("NumericValue", value, "content")
    unit = measured.item("MeasurementUnitsCodeSequence")
    unit.plant("CodeValue", "mm", "content")
    unit.plant("CodingSchemeDesignator", "UCUM", "content")
    unit.plant("CodeMeaning", "millimeter", "content")
    return item


def measurement(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """Comprehensive SR: measurements, then who made them."""
    place = begin(
        person, serial, plants, uids, sop_class=COMPREHENSIVE_SR, modality="SR", kind="SR", study=0
    )
    place.keep(CompletionFlag="COMPLETE", VerificationFlag="VERIFIED")
    _verifier(place, person)
    _root(place, person, uids, first, ("126000", "DCM", "Imaging Measurement Report"))
    group = content(
        place, "CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), keep=True
    )
    group.plant("ContinuityOfContent", "SEPARATE", "content")
    number(group, ("103339001", "SCT", "Long Axis"), "12.5")
    number(group, ("103340004", "SCT", "Short Axis"), "7.25")
    finding = content(group, "CONTAINS", "CODE", ("121071", "DCM", "Finding"), keep=True)
    concept = finding.item("ConceptCodeSequence")
    concept.plant("CodeValue", "27925004", "content")
    concept.plant("CodingSchemeDesignator", "SCT", "content")
    concept.plant("CodeMeaning", "Nodule", "content")
    link = content(
        group, "CONTAINS", "IMAGE", ("121112", "DCM", "Source of Measurement"), keep=True
    )
    target = link.item("ReferencedSOPSequence")
    target.plant("ReferencedSOPClassUID", CT, "content")
    target.plant("ReferencedSOPInstanceUID", ct_uid(person, uids, first), "content uid")
    _identities(group, person, serial)
    _context(place, person, serial)
    return place


def _verifier(place: Place, person: Person) -> None:
    verifier = place.item("VerifyingObserverSequence")
    verifier.plant(
        "VerifyingObserverName", "^".join(person.referring), "identity", removed=person.referring
    )
    verifier.plant(
        "VerifyingOrganization",
        person.institution,
        "identity",
        removed=(person.institution.split()[0],),
    )
    verifier.plant("VerificationDateTime", study_day(person, 0).strftime("%Y%m%d") + "1312", "date")
    verifier.put("VerifyingObserverIdentificationCodeSequence", [])


def _context(place: Place, person: Person, serial: int) -> None:
    observer = content(
        place, "HAS OBS CONTEXT", "PNAME", ("121008", "DCM", "Person Observer Name"), keep=False
    )
    observer.plant("PersonName", "^".join(person.referring), "identity", removed=person.referring)
    subject = content(
        place, "HAS OBS CONTEXT", "PNAME", ("121029", "DCM", "Subject Name"), keep=False
    )
    subject.plant("PersonName", person.name, "patient name", removed=person.terms)
    number_ = content(place, "HAS OBS CONTEXT", "TEXT", ("121030", "DCM", "Subject ID"), keep=False)
    number_.plant("TextValue", person.patient_id, "identity")
    born = content(
        place, "HAS OBS CONTEXT", "DATE", ("121031", "DCM", "Subject Birth Date"), keep=False
    )
    born.plant("Date", person.birth.strftime("%Y%m%d"), "birth date")
    where = content(
        place,
        "HAS OBS CONTEXT",
        "TEXT",
        ("121009", "DCM", "Person Observer's Organization Name"),
        keep=False,
    )
    where.plant(
        "TextValue", person.institution, "identity", removed=(person.institution.split()[0],)
    )
    device = content(
        place, "HAS OBS CONTEXT", "TEXT", ("121013", "DCM", "Device Observer Name"), keep=False
    )
    device.plant("TextValue", word(310_000 + serial), "identity")


def _identities(group: Place, person: Person, serial: int) -> None:
    when = study_day(person, 0) + timedelta(days=2)
    dated = content(group, "CONTAINS", "DATETIME", ("111060", "DCM", "Study Date"), keep=False)
    dated.plant("DateTime", when.strftime("%Y%m%d") + "101112", "date")
    first = content(group, "CONTAINS", "TEXT", ("121106", "DCM", "Comment"), keep=False)
    first.plant(
        "TextValue",
        f"Nodule of {person.spoken[0]}, as {person.family} said",
        "identity",
        removed=(person.family, person.spoken[0]),
    )
    deep = group
    for level in range(3):
        deep = content(deep, "CONTAINS", "CONTAINER", ("121070", "DCM", "Findings"), keep=False)
        deep.put("ContinuityOfContent", "SEPARATE")
        leaf = content(
            deep, "CONTAINS", "PNAME", ("121008", "DCM", "Person Observer Name"), keep=False
        )
        name = word(320_000 + 4 * serial + level)
        leaf.plant(
            "PersonName",
            f"{name}^{person.given}",
            "identity",
            removed=(name, person.given.split()[0]),
        )


def report(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """Enhanced SR: a dictated report, sentence by sentence."""
    place = begin(
        person, serial, plants, uids, sop_class=ENHANCED_SR, modality="SR", kind="SRT", study=0
    )
    place.keep(CompletionFlag="COMPLETE", VerificationFlag="VERIFIED")
    _verifier(place, person)
    _root(place, person, uids, first, ("18748-4", "LN", "Diagnostic Imaging Report"))
    for index, sentence in enumerate(sentences(person, serial)):
        concept = ("121071", "DCM", "Finding") if index % 2 else ("121073", "DCM", "Impression")
        item = content(place, "CONTAINS", "TEXT", concept, keep=True)
        item.plant(
            "TextValue",
            sentence.text,
            "content text",
            removed=sentence.removed,
            retained=sentence.retained,
        )
    _context(place, person, serial)
    return place


def key_object(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """Key Object Selection of a CT slice."""
    place = begin(
        person, serial, plants, uids, sop_class=KEY_OBJECT, modality="KO", kind="KO", study=0
    )
    _root(place, person, uids, first, ("113000", "DCM", "Of Interest"))
    item = place.item("ContentSequence")
    item.plant("RelationshipType", "CONTAINS", "content")
    item.plant("ValueType", "IMAGE", "content")
    target = item.item("ReferencedSOPSequence")
    target.plant("ReferencedSOPClassUID", CT, "content")
    target.plant("ReferencedSOPInstanceUID", ct_uid(person, uids, first), "content uid")
    note = content(
        place, "CONTAINS", "TEXT", ("113012", "DCM", "Key Object Description"), keep=False
    )
    note.plant(
        "TextValue",
        f"Show to {person.referring[0]}, {person.family}",
        "identity",
        removed=(person.referring[0], person.family),
    )
    return place
