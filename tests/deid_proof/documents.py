"""Encapsulated documents (PS3.3 A.45) that name the patient."""

from __future__ import annotations

from deid_proof.identities import Person
from deid_proof.modules import Uids, begin
from deid_proof.plants import Place, Plant

PDF = "1.2.840.10008.5.1.4.1.1.104.1"
CDA = "1.2.840.10008.5.1.4.1.1.104.2"
STL = "1.2.840.10008.5.1.4.1.1.104.3"


def _pdf(text: str) -> bytes:
    stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode("latin-1", "replace")
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Length "
        + str(len(stream)).encode()
        + b">>stream\n"
        + stream
        + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )


def _cda(text: str) -> bytes:
    return (
        '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><title>Report</title>'
        f"<text>{text}</text></ClinicalDocument>"
    ).encode()


def _stl(text: str) -> bytes:
    return text.encode("ascii", "replace")[:80].ljust(80) + (0).to_bytes(4, "little")


_KINDS = (
    (PDF, "DOC", "application/pdf", _pdf),
    (CDA, "DOC", "text/XML", _cda),
    (STL, "M3D", "model/stl", _stl),
)


def document(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """A document in a study of its own."""
    sop_class, modality, mime, made = _KINDS[index % len(_KINDS)]
    place = begin(
        person,
        serial,
        plants,
        uids,
        sop_class=sop_class,
        modality=modality,
        kind="DOC",
        study=300 + index,
    )
    place.put("ConversionType", "WSD")
    place.put("BurnedInAnnotation", "YES")
    place.put("DocumentTitle", "Report")
    place.put("ConceptNameCodeSequence", [])
    place.put("MIMETypeOfEncapsulatedDocument", mime)
    who = f"{person.family} {person.patient_id}" if person.family.isascii() else person.patient_id
    data = made(who)
    place.put("EncapsulatedDocumentLength", len(data))
    place.plant(
        "EncapsulatedDocument",
        data + b"\0" * (len(data) % 2),
        "identity",
        removed=tuple(who.split()),
    )
    return place
