"""What a DICOMDIR says of an instance (PS3.3 F.5), by pydicom's record structures.

Images are told by their number alone, so nobody opens their files for it; the other kinds are
read from their headers. What the standard demands and a header lacks is made up the way DCMTK's
``dcmmkdir --invent`` does it; what cannot be made up becomes a private record, which names the
file and says no more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_until
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.errors import DicomError

if TYPE_CHECKING:  # takes long to import
    from pydicom.dataset import Dataset

#: Type 1 attributes of records that some headers lack.
INVENTED = {
    "ContentDate": "19000101",
    "ContentTime": "000000",
    "PresentationCreationDate": "19000101",
    "PresentationCreationTime": "000000",
    "InstanceCreationDate": "19000101",
    "ContentLabel": "UNKNOWN",
    "StructureSetLabel": "UNKNOWN",
    "RTPlanLabel": "UNKNOWN",
    "DoseSummationType": "PLAN",
    "CompletionFlag": "PARTIAL",
    "VerificationFlag": "UNVERIFIED",
}
# Content trees, documents, contours, functional groups, waveforms. What records say comes before.
_STOP_AT = PIXEL_TAGS | {0x0040A730, 0x00420011, 0x30060039, 0x52009229, 0x52009230, 0x54000100}
_ENCAPSULATED = {
    "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
_PLANS = ("1.2.840.10008.5.1.4.1.1.481.5", "1.2.840.10008.5.1.4.1.1.481.8")


def record_of(
    path: Path,
    *,
    sop_class_uid: str,
    modality: str,
    number: int,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> tuple[str, Dataset]:
    """Directory Record Type and keys of one instance.

    Args:
        number: its Instance Number; a running one where it has none.

    Raises:
        OSError: the file cannot be read.
    """
    from pydicom.dataset import Dataset

    if _is_image(sop_class_uid, modality):
        keys = Dataset()
        keys.InstanceNumber = number
        return "IMAGE", keys
    try:
        found = read_until(path, _STOP_AT, bounds=bounds)
    except DicomError:
        return "PRIVATE", Dataset()
    with quiet_pydicom():
        return _from_header(found, sop_class_uid, number)


def _is_image(sop_class_uid: str, modality: str) -> bool:
    """Whether the class alone says that it is an image."""
    from pydicom.fileset import _FOUR_LEVEL_SOP_CLASSES
    from pydicom.uid import UID

    if sop_class_uid in _FOUR_LEVEL_SOP_CLASSES or modality.startswith(("RT", "PLAN", "DOC")):
        return False
    name = UID(sop_class_uid).name
    return "Image Storage" in name or "Segmentation Storage" in name or "Map Storage" in name


def _from_header(found: Dataset, sop_class_uid: str, number: int) -> tuple[str, Dataset]:
    from pydicom.dataset import Dataset
    from pydicom.fileset import DIRECTORY_RECORDERS, _four_level_record_type

    try:
        kind = _four_level_record_type(found)
        if sop_class_uid in _PLANS:
            kind = "RT PLAN"
        elif sop_class_uid in _ENCAPSULATED:
            kind = "ENCAP DOC"
            found.MIMETypeOfEncapsulatedDocument = _ENCAPSULATED[sop_class_uid]
        if found.get("InstanceNumber") is None:
            found.InstanceNumber = number
        for keyword, value in INVENTED.items():
            if found.get(keyword) in (None, ""):
                setattr(found, keyword, value)
        keys = DIRECTORY_RECORDERS[kind](found)
        if found.get("SpecificCharacterSet"):
            keys.SpecificCharacterSet = found.SpecificCharacterSet
        return kind, keys
    except Exception:
        # pydicom raises whatever a header's odd values lead to. The file stays findable.
        return "PRIVATE", Dataset()
