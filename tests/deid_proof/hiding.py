"""Places where identity hides: private elements, deep items, unknown VRs, overlays, file meta."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from deid_proof.annex_values import Values, uid
from deid_proof.burned_in import draw
from deid_proof.identities import Person, word
from deid_proof.modules import free_date, noise
from deid_proof.plants import Place, Plant, annex_e, tag_of

#: Sequences that Annex E does not name, four deep.
CHAINS = (
    (
        "ViewCodeSequence",
        "ViewModifierCodeSequence",
        "EquivalentCodeSequence",
        "EquivalentCodeSequence",
    ),
    (
        "DerivationCodeSequence",
        "EquivalentCodeSequence",
        "EquivalentCodeSequence",
        "EquivalentCodeSequence",
    ),
    (
        "SourceImageSequence",
        "PurposeOfReferenceCodeSequence",
        "EquivalentCodeSequence",
        "EquivalentCodeSequence",
    ),
    (
        "RequestAttributesSequence",
        "ScheduledProtocolCodeSequence",
        "ProtocolContextSequence",
        "ContentItemModifierSequence",
    ),
    (
        "OriginalAttributesSequence",
        "ModifiedAttributesSequence",
        "OtherPatientIDsSequence",
        "IssuerOfPatientIDQualifiersSequence",
    ),
    (
        "ReferencedStudySequence",
        "PurposeOfReferenceCodeSequence",
        "EquivalentCodeSequence",
        "EquivalentCodeSequence",
    ),
)


def nested(place: Place, person: Person, values: Values, turn: int) -> None:
    """Names, IDs, dates and UIDs one to four items deep."""
    chain = CHAINS[turn % len(CHAINS)]
    if chain[0] == "ReferencedStudySequence":
        item = place.item(chain[0])
        item.put("ReferencedSOPClassUID", "1.2.840.10008.3.1.2.3.1")
        item.plant("ReferencedSOPInstanceUID", uid(900_000 + turn), "nested uid")
        item = item.item(chain[1])
    else:
        item = place.item(chain[0]).item(chain[1])
    _leaves(item, person, values)
    item = item.item(chain[2])
    item.plant("StudyDate", free_date(person, values.next()), "nested date")
    item.plant("AccessionNumber", f"N{values.next()}X", "identity")
    item = item.item(chain[3])
    _leaves(item, person, values)
    item.plant("AffectedSOPInstanceUID", uid(950_000 + values.next()), "nested uid", "UI")
    item.plant("RequestedSOPInstanceUID", uid(950_000 + values.next()), "nested uid", "UI")


def _leaves(item: Place, person: Person, values: Values) -> None:
    item.plant("PatientName", person.name, "identity", removed=person.terms)
    item.plant("PatientID", person.patient_id, "identity")
    stranger = values.of("PN", person)
    item.plant("ReferringPhysicianName", stranger, "identity", removed=tuple(stranger.split("^")))
    item.plant(
        "ImageComments",
        f"{person.family} and {word(values.next())}",
        "identity",
        removed=(person.family, word(values.number)),
    )


@cache
def unlisted_text() -> tuple[tuple[int, str], ...]:
    """Attributes with a text VR that Annex E does not name: (tag, VR), all of the dictionary's."""
    listed = {row.tag for row in annex_e()}
    skipped = {0x00080005, 0x00180012, 0x00281052}
    return tuple(
        (tag, vr)
        for tag, (vr, _, _, _, _) in sorted(DicomDictionary.items())
        if vr in {"LO", "SH", "ST", "LT", "UT", "UC", "PN"}
        and tag >> 16 >= 8
        and f"{tag:08x}" not in listed
        and tag not in skipped
    )


def sweep(place: Place, person: Person, values: Values, first: int, count: int) -> None:
    """Attributes that nobody lists, with the names of the patient and of the staff."""
    rows = unlisted_text()
    for offset in range(count):
        tag, vr = rows[(first + offset) % len(rows)]
        if tag in place.dataset:
            continue
        who = (person.family, person.referring[0], person.operator[0])[offset % 3]
        value = f"{who}^{word(values.next())}" if vr == "PN" else who[:16]
        removed = tuple(value.split("^")) if vr == "PN" else (who[:16],)
        place.plant(tag, value, "identity", vr, removed=removed)


def private(place: Place, person: Person, values: Values) -> None:
    """Private blocks: unknown creators, UN, OB, nested sequences, orphans, a creator that is a
    name."""
    text = f"{person.family} {word(values.next())}"
    words = (person.family, word(values.number))
    creator = "ACME DEVICE 1.1"
    place.put(0x00290010, creator, "LO")
    place.plant(0x00291001, text, "private", "LO", creator=creator, removed=words)
    place.plant(0x00291002, values.of("PN", person), "private", "PN", creator=creator)
    place.plant(0x00291003, free_date(person, values.next()), "private", "DA", creator=creator)
    place.plant(
        0x00291004, _even(text.encode("utf-8")), "private", "OB", creator=creator, removed=words
    )
    place.plant(
        0x00291005,
        _even(_encoded_item(person)),
        "private",
        "UN",
        creator=creator,
        removed=(person.patient_id,),
    )
    place.plant(0x00291007, uid(800_000 + values.next()), "private", "UI", creator=creator)
    item = place.item(0x00291006, creator)
    item.plant("PatientName", person.name, "identity", removed=person.terms)
    item.put(0x00310010, creator, "LO")
    deep = item.item(0x00311001, creator)
    deep.plant("PatientID", person.patient_id, "identity")
    deep.plant("OperatorsName", values.of("PN", person), "identity")
    named = person.family if person.family.isascii() else word(values.next())
    place.plant(0x00290011, named, "private", "LO")
    place.plant(0x00291101, values.of("LO", person), "private", "LO", creator=named)
    place.plant(0x00331001, _even(values.of("LO", person).encode()), "private", "UN")


def safe_private(place: Place, person: Person, values: Values) -> None:
    """Attributes that PS3.15 Table E.3.10-1 calls safe, and others of the same creators."""
    header = "SIEMENS MR HEADER"
    place.put(0x00190011, header, "LO")
    place.plant(0x0019110C, "1000", "safe private", "IS", creator=header)
    place.plant(0x0019110E, [0.5, -0.25, 0.75], "safe private", "FD", creator=header)
    place.plant(0x00191109, values.of("LO", person), "private", "LO", creator=header)
    pet = "Philips PET Private Group"
    place.put(0x70530010, pet, "LO")
    place.plant(0x70531000, "0.000451", "safe private", "DS", creator=pet)
    place.plant(0x70531003, values.of("ST", person), "private", "ST", creator=pet)
    place.plant(0x70531009, "1.25", "safe private", "DS", creator=pet)


def _encoded_item(person: Person) -> bytes:
    """A sequence item in Implicit VR, as it stands in an element of unknown VR."""
    dataset = Dataset()
    dataset.PatientID = person.patient_id
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, dataset)
    body = buffer.getvalue()
    return b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body


def _even(data: bytes) -> bytes:
    return data + b" " * (len(data) % 2)


def unknown_vr(place: Place, person: Person, values: Values) -> None:
    """Standard attributes that an archive wrote as UN."""
    for name in ("Occupation", "RequestedProcedureComments", "AdmissionID", "ContactDisplayName"):
        text = values.of("LO", person)
        tag = _raw(place, name, _even(text.encode()))
        place.plants.append(
            Plant(place.serial, place.path(tag), "UN", "identity", text, removed=(text,))
        )
    if "ReferencedPatientSequence" not in place.dataset:
        _raw(place, "ReferencedPatientSequence", _even(_encoded_item(person)))


def _raw(place: Place, name: str, value: bytes) -> int:
    tag = Tag(tag_of(name))
    place.dataset[tag] = RawDataElement(tag, "UN", len(value), value, 0, False, True, True)
    return int(tag)


def rare_places(place: Place, person: Person, values: Values) -> None:
    """Overlay, curve, icon, signature, trailing padding, encrypted attributes."""
    box, plane = draw(person.family if person.family.isascii() else person.patient_id, (64, 160))
    place.put(0x60000010, 64, "US")
    place.put(0x60000011, 160, "US")
    place.plant(0x60000022, values.of("LO", person), "identity", "LO")
    place.put(0x60000040, "G", "CS")
    place.put(0x60000050, [1, 1], "SS")
    place.put(0x60000100, 1, "US")
    place.put(0x60000102, 0, "US")
    place.plant(0x60001500, values.of("LO", person), "identity", "LO")
    place.put(0x60003000, np.packbits(plane.ravel() > 128, bitorder="little").tobytes(), "OW")
    place.plant(0x60004000, values.of("LT", person), "identity", "LT")
    place.plants.append(Plant(place.serial, place.path(0x60003000), "OW", "box", box.text))
    place.plant(0x50000022, values.of("LO", person), "identity", "LO")
    place.put(0x50003000, _even(person.patient_id.encode()), "OB")
    icon = place.item("IconImageSequence")
    icon.put("SamplesPerPixel", 1)
    icon.put("PhotometricInterpretation", "MONOCHROME2")
    for keyword, number in {
        "Rows": 64,
        "Columns": 160,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
    }.items():
        icon.put(keyword, number)
    icon.put("PixelData", plane.tobytes(), "OB")
    icon.plants.append(Plant(place.serial, icon.path("PixelData"), "OB", "box", box.text))
    signature = place.item(0xFFFAFFFA)
    signature.plant(
        "CertificateOfSigner", _even(values.of("LO", person).encode()), "identity", "OB"
    )
    signature.plant("DigitalSignatureUID", uid(850_000 + values.next()), "nested uid")
    place.plant(0xFFFCFFFC, _even(values.of("LO", person).encode()), "identity", "OB")
    encrypted = place.item("EncryptedAttributesSequence")
    encrypted.put("EncryptedContentTransferSyntaxUID", "1.2.840.10008.1.2.1")
    encrypted.plant("EncryptedContent", _even(values.of("LO", person).encode()), "identity", "OB")
    note = place.item("GraphicAnnotationSequence").item("TextObjectSequence")
    note.plant("UnformattedTextValue", values.of("LO", person), "identity", "ST")
    place.item("NonconformingModifiedAttributesSequence").plant(
        "PatientID", person.patient_id, "identity"
    )


def standard_uids(place: Place) -> None:
    """UIDs of the standard and of private classes, which must stay as they are."""
    scheme = place.item("CodingSchemeIdentificationSequence")
    scheme.plant("CodingSchemeUID", "1.2.840.10008.2.16.4", "standard uid")
    scheme.plant("CodingSchemeDesignator", "DCM", "standard uid")
    code = (
        place.item("DerivationCodeSequence")
        if "DerivationCodeSequence" not in place.dataset
        else None
    )
    if code is not None:
        code.keep(CodeValue="113040", CodingSchemeDesignator="DCM", CodeMeaning="Lossy Compression")
        code.plant("MappingResource", "DCMR", "standard uid")
        code.plant("MappingResourceUID", "1.2.840.10008.8.1.1", "standard uid")


def file_meta(place: Place, person: Person, values: Values, syntax: str) -> FileMetaDataset:
    """File Meta Information with application entities and private information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = place.dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = place.dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = "1.2.826.0.1.3680043.10.771.1"
    facts: dict[str, tuple[str, Any]] = {
        "SourceApplicationEntityTitle": ("AE", values.of("AE", person)),
        "SendingApplicationEntityTitle": ("AE", values.of("AE", person)),
        "ReceivingApplicationEntityTitle": ("AE", values.of("AE", person)),
        "PrivateInformationCreatorUID": ("UI", uid(700_000 + values.next())),
        "PrivateInformation": ("OB", _even(f"{person.family} {word(values.next())}".encode())),
    }
    for keyword, (vr, value) in facts.items():
        setattr(meta, keyword, value)
        tag = meta[keyword].tag
        text = value.decode().rstrip() if isinstance(value, bytes) else value
        place.plants.append(
            Plant(
                place.serial,
                place.path(int(tag)),
                vr,
                "identity",
                text,
                removed=tuple(text.split()),
            )
        )
    place.plants.append(
        Plant(place.serial, place.path(0x00020003), "UI", "uid", place.dataset.SOPInstanceUID)
    )
    return meta


def filler(serial: int) -> Any:
    """Pixels for objects that need some."""
    return noise((16, 16), serial)
