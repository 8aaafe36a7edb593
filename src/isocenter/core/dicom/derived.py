"""What every object that Isocenter derives from another one shares.

The same source, arguments and time give the same bytes: nothing here asks a clock, makes random
UIDs or depends on the order of a dict.
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.charset import convert_encodings, encode_string
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.uid import UID

from isocenter import __version__
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import DataSetError

_MAX_DERIVATION = 1024  # ST
_MAX_DESCRIPTION = 64  # LO
# Signatures and icons speak of the source's bytes.
_NOT_INHERITED = (
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "IconImageSequence",
    "InstanceCreatorUID",
)
# Patient, Clinical Trial Subject, General Study, Patient Study (PS3.3 A.1.4), Common Instance
# Reference's character set and time zone.
_PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "PatientComments",
    "EthnicGroup",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "ResponsiblePerson",
    "ResponsibleOrganization",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "ProcedureCodeSequence",
    "ReferencedStudySequence",
    "AdmittingDiagnosesDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
)


@dataclass(frozen=True, slots=True)
class SourceInstance:
    """An image that another was made from."""

    sop_class_uid: str
    sop_instance_uid: str


def source_instance(dataset: Dataset) -> SourceInstance:
    """The reference to a data set; what it lacks is taken from its file meta information.

    Raises:
        DataSetError: it has no SOP Class UID or SOP Instance UID.
    """
    meta = getattr(dataset, "file_meta", Dataset())
    with quiet_pydicom():
        sop_class_uid = str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
        sop_instance_uid = str(
            dataset.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or ""
        )
    if not sop_class_uid or not sop_instance_uid:
        raise DataSetError("the source has no SOP Class UID or no SOP Instance UID")
    return SourceInstance(sop_class_uid, sop_instance_uid)


def new_instance_from(
    source: Dataset,
    *,
    sop_uid: str,
    series_uid: str,
    series_number: int,
    series_description: str,
    made_at: datetime,
    derivation: str,
    source_refs: Sequence[SourceInstance] = (),
) -> Dataset:
    """A copy of an image that says of itself that it is derived (PS3.3 C.7.6.1, C.12.4.1).

    Study and patient modules, frame of reference, equipment and every bit of the pixel data stay
    as they are. Elements that nobody looked at are not even decoded. The source is not changed
    and shares no mutable value with the copy.

    Args:
        source: an image, as :func:`~isocenter.core.dicom.reading.read_dataset` gives it.
        sop_uid, series_uid, series_number, series_description: of the new instance.
        made_at: goes into all dates and times of the new instance; a time with a time zone is
            put into Timezone Offset From UTC's where the source has one.
        derivation: what was done, in a sentence; an earlier description follows it.
        source_refs: images it was made from, if not just ``source``.

    Returns:
        a data set to be written by :func:`~isocenter.core.dicom.writing.write_part10`.

    Raises:
        DataSetError: the source has no SOP Class UID or SOP Instance UID.
    """
    own = source_instance(source)
    refs = tuple(source_refs) or (own,)
    with quiet_pydicom():
        made = copy_of(source)
        made.SOPClassUID = UID(own.sop_class_uid)
        for keyword in _NOT_INHERITED:
            if keyword in made:
                delattr(made, keyword)
        mark_derived(made, refs=refs, made_at=made_at, derivation=derivation)
        set_identity(
            made,
            sop_uid=sop_uid,
            series_uid=series_uid,
            series_number=series_number,
            series_description=series_description,
            made_at=made_at,
        )
    return made


def patient_and_study_of(source: Dataset) -> Dataset:
    """A new data set with nothing but the patient and study modules of another, untouched.

    For objects that are not copies of an image: secondary captures, reports.
    """
    with quiet_pydicom():
        made = Dataset()
        for keyword in _PATIENT_AND_STUDY:
            if keyword in source:
                made[keyword] = _copy_of_element(source[keyword])
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
        return made


def set_identity(
    made: Dataset,
    *,
    sop_uid: str,
    series_uid: str,
    series_number: int,
    series_description: str,
    made_at: datetime,
) -> None:
    """Set what tells a new instance of a new series from every other one, and when it was made."""
    moment = _in_time_zone_of(made, made_at)
    date, time = f"{moment:%Y%m%d}", f"{moment:%H%M%S.%f}"
    made.SOPInstanceUID = UID(sop_uid)
    made.SeriesInstanceUID = UID(series_uid)
    made.SeriesNumber = series_number
    made.SeriesDescription = encodable(series_description, made)[:_MAX_DESCRIPTION]
    for prefix in ("InstanceCreation", "Series", "Content"):
        setattr(made, f"{prefix}Date", date)
        setattr(made, f"{prefix}Time", time)


def mark_derived(
    made: Dataset, *, refs: Sequence[SourceInstance], made_at: datetime, derivation: str
) -> None:
    """Set Image Type, the derivation, the source images and Isocenter as contributing equipment.

    Equipment attributes (Manufacturer, Software Versions) stay those of the device; PS3.3 C.12.1
    has Contributing Equipment Sequence for who else had a hand in it.
    """
    image_type = made.get("ImageType")
    further = list(image_type[2:]) if image_type and not isinstance(image_type, str) else []
    made.ImageType = ["DERIVED", "SECONDARY", *further]
    earlier = str(made.get("DerivationDescription") or "")
    text = f"{derivation}; earlier: {earlier}" if earlier else derivation
    made.DerivationDescription = encodable(text, made)[:_MAX_DERIVATION]
    made.SourceImageSequence = ItemSequence([_source_item(ref) for ref in refs])
    equipment = [copy.deepcopy(item) for item in made.get("ContributingEquipmentSequence") or []]
    equipment.append(_own_equipment(_in_time_zone_of(made, made_at), derivation))
    made.ContributingEquipmentSequence = ItemSequence(equipment)


def copy_of(source: Dataset) -> Dataset:
    """A copy that shares no mutable value with the source and decodes nothing."""
    made = Dataset({tag: _copy_of_element(source.get_item(tag)) for tag in list(source.keys())})
    is_implicit, is_little = source.original_encoding
    if is_implicit is not None and is_little is not None:
        made.set_original_encoding(is_implicit, is_little, source.original_character_set)
    made.file_meta = copy.deepcopy(getattr(source, "file_meta", FileMetaDataset()))
    return made


def _copy_of_element(element: object) -> object:
    if not isinstance(element, DataElement):
        return element  # raw: a tuple
    if element.VR == "SQ":
        return copy.deepcopy(element)
    copied = DataElement(
        element.tag, element.VR, element.value, is_undefined_length=element.is_undefined_length
    )
    copied.private_creator = element.private_creator
    return copied


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A code sequence item (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _source_item(ref: SourceInstance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(ref.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(ref.sop_instance_uid)
    purpose = code("121322", "DCM", "Source image for image processing operation")
    item.PurposeOfReferenceCodeSequence = ItemSequence([purpose])
    return item


def _own_equipment(moment: datetime, derivation: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = ItemSequence(
        [code("109103", "DCM", "Modifying Equipment")]
    )
    item.Manufacturer = "Isocenter"
    item.ManufacturerModelName = "Isocenter"
    item.SoftwareVersions = __version__
    item.ContributionDateTime = f"{moment:%Y%m%d%H%M%S.%f}"
    item.ContributionDescription = _ascii(derivation)[:_MAX_DERIVATION]
    return item


def _in_time_zone_of(dataset: Dataset, moment: datetime) -> datetime:
    offset = str(dataset.get("TimezoneOffsetFromUTC") or "")
    if moment.tzinfo is None or len(offset) != 5 or not offset[1:].isdigit():
        return moment
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    if minutes >= 24 * 60:
        return moment
    zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    return moment.astimezone(zone)


def encodable(text: str, dataset: Dataset) -> str:
    """The text as the data set's character set can hold it; letters lose their accents if need be.

    Changing the character set instead would change every name in the data set.
    """
    if text.isascii():
        return text
    declared = dataset.get("SpecificCharacterSet") or ""
    first = declared if isinstance(declared, str) else str(declared[0])
    if first in ("", "ISO_IR 6"):  # pydicom would write Latin 1
        return _ascii(text)
    try:
        encoded = encode_string(text, convert_encodings(declared))
    except (UnicodeError, LookupError, ValueError):
        return _ascii(text)
    return text if b"?" not in encoded or "?" in text else _ascii(text)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
