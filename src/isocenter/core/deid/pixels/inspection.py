"""Which objects can carry burned-in text, by what their header says.

Deny by default: a class that is not known to hold measured values only is looked at. CT, MR and
PET images are looked at where something says that they are pictures of a screen: PS3.3 C.7.6.1.1.1
(Burned In Annotation), C.8.6.1 (SC Equipment: Conversion Type, Secondary Capture Device), Image
Type, colour, 8 bits, or no position in the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from isocenter.core.deid.pixels.faces import names_head
from isocenter.core.dicom.pixels import DECODABLE
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import reading_attributes

_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: Measured or computed values, by the class; a picture of a screen is marked as one.
MEASURED = frozenset(
    _STORAGE + tail
    for tail in (
        "2",  # CT
        "2.1",  # Enhanced CT
        "2.2",  # Legacy Converted Enhanced CT
        "4",  # MR
        "4.1",  # Enhanced MR
        "4.2",  # MR Spectroscopy
        "4.3",  # Enhanced MR Color
        "4.4",  # Legacy Converted Enhanced MR
        "128",  # PET
        "128.1",  # Legacy Converted Enhanced PET
        "130",  # Enhanced PET
        "13.1.1",  # X-Ray 3D Angiographic
        "13.1.2",  # X-Ray 3D Craniofacial
        "13.1.3",  # Breast Tomosynthesis
    )
)
#: Never a picture: label maps, parameters, dose.
_NEVER = frozenset(
    _STORAGE + tail
    for tail in (
        "30",  # Parametric Map
        "66.4",  # Segmentation
        "66.7",  # Label Map Segmentation
        "481.2",  # RT Dose
    )
)
#: Has colour by its nature.
_COLOURED = frozenset((_STORAGE + "4.3",))
#: Multi-frame classes have their positions in functional groups.
_POSITION_IN_FRAMES = frozenset(
    _STORAGE + tail
    for tail in ("2.1", "2.2", "4.1", "4.2", "4.3", "4.4", "128.1", "130", "13.1.1", "13.1.2",
                 "13.1.3")
)  # fmt: skip
_WHOLE_SLIDE = _STORAGE + "77.1.6"
_SCREEN_WORDS = ("SCREEN", "SAVE", "CAPTURE", "REPORT", "DOSE_INFO", "SECONDARY", "VXTL")
_CAPTURE_TAGS = (
    0x00080064,  # Conversion Type
    0x00181010,  # Secondary Capture Device ID
    0x00181012,  # Date of Secondary Capture
    0x00181016,  # Secondary Capture Device Manufacturer
    0x00181018,  # Secondary Capture Device Manufacturer's Model Name
)
_FIRST_OVERLAY, _LAST_OVERLAY = 0x6000, 0x60FF


class NeedKind(StrEnum):
    """What an object needs before its pixels may leave."""

    NONE = "none"  # nothing
    TEMPLATE = "template"  # a device template knows where its text is
    OCR = "ocr"  # it has to be looked at
    REFUSE = "refuse"  # it cannot be inspected


@dataclass(frozen=True, slots=True)
class Need:
    """What is needed, and why: for people, nothing that identifies anybody."""

    kind: NeedKind
    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision is made of. Take them from the original: rules may remove some.

    Attributes:
        image_type: upper case.
        texts: attributes that templates ask for, by keyword, upper case.
        captured: an attribute of SC Equipment or Secondary Capture Device has a value.
        has_position: Image Position (Patient) is there, or the class has it by frame.
        overlay_in_pixels: an overlay plane without data of its own (PS3.5 8.1.2, retired): it is
            in unused bits of the pixels.
        names_head: a CT, MR or PET image whose header says that it shows a head.
    """

    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    burned_in_annotation: str = ""
    captured: bool = False
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    bits_allocated: int = 0
    photometric_interpretation: str = ""
    pixel_keyword: str = ""
    has_position: bool = False
    overlay_in_pixels: bool = False
    names_head: bool = False
    texts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> Facts:
        """From a data set, which may have been read without its pixels (their tag must be there).

        Raises:
            DataSetError: an attribute makes no sense.
        """
        with quiet_pydicom(), reading_attributes("the image"):
            return cls(
                sop_class_uid=_text(dataset, "SOPClassUID"),
                transfer_syntax_uid=str(
                    getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID") or ""
                ),
                modality=_text(dataset, "Modality"),
                image_type=_values(dataset, "ImageType"),
                burned_in_annotation=_text(dataset, "BurnedInAnnotation"),
                captured=any(tag in dataset and dataset[tag].value for tag in _CAPTURE_TAGS),
                rows=int(dataset.get("Rows") or 0),
                columns=int(dataset.get("Columns") or 0),
                frames=int(dataset.get("NumberOfFrames") or 1),
                samples=int(dataset.get("SamplesPerPixel") or 1),
                bits_allocated=int(dataset.get("BitsAllocated") or 0),
                photometric_interpretation=_text(dataset, "PhotometricInterpretation"),
                pixel_keyword=_pixel_keyword(dataset),
                has_position="ImagePositionPatient" in dataset
                or _text(dataset, "SOPClassUID") in _POSITION_IN_FRAMES,
                overlay_in_pixels=_overlay_in_pixels(dataset),
                names_head=names_head(dataset),
                texts=tuple((name, _joined(dataset, name)) for name in TEMPLATE_TEXTS),
            )

    def text(self, keyword: str) -> str:
        """An attribute that templates ask for, upper case, values separated by a backslash."""
        return next((value for name, value in self.texts if name == keyword), "")


#: Attributes besides size, Image Type and Modality that a template can ask for.
TEMPLATE_TEXTS = (
    "Manufacturer",
    "ManufacturerModelName",
    "SeriesDescription",
    "ProtocolName",
    "CommentsOnRadiationDose",
    "WindowWidth",
)


def needs(facts: Facts, *, has_template: bool = False) -> Need:
    """What an object needs, whatever the policy.

    Args:
        facts: of the original object.
        has_template: a device template matches (see
            :meth:`~isocenter.core.deid.pixels.templates.TemplateSet.match`).
    """
    if not facts.pixel_keyword:
        return Need(NeedKind.NONE, "no pixel data")
    sop_class = facts.sop_class_uid
    if sop_class in _NEVER:
        return Need(NeedKind.NONE, "a map of labels, parameters or dose")
    reason = _reason(facts)
    if not reason:
        if has_template:
            return Need(NeedKind.TEMPLATE, "a device template")
        return Need(NeedKind.NONE, "measured values, no sign of a screen")
    if facts.pixel_keyword != "PixelData":
        return Need(NeedKind.REFUSE, f"{reason}, but its pixels are floating point")
    if facts.transfer_syntax_uid not in DECODABLE:
        return Need(NeedKind.REFUSE, f"{reason}, and no decoder for its transfer syntax")
    if sop_class == _WHOLE_SLIDE and "LABEL" in facts.image_type:
        return Need(NeedKind.REFUSE, "the label of a slide")
    if has_template:
        return Need(NeedKind.TEMPLATE, f"{reason}; a device template")
    return Need(NeedKind.OCR, reason)


def _reason(facts: Facts) -> str:
    """Why the object can carry text; empty where it cannot."""
    if facts.burned_in_annotation == "YES":
        return "Burned In Annotation is YES"
    if facts.sop_class_uid == _WHOLE_SLIDE:
        return "" if "VOLUME" in facts.image_type else "a slide's overview or label"
    if facts.sop_class_uid not in MEASURED:
        return "a class that can carry text"
    if any(word in value for value in facts.image_type for word in _SCREEN_WORDS):
        return "Image Type says that it was captured or derived"
    if facts.captured:
        return "a secondary capture device or conversion is named"
    if facts.samples > 1 and facts.sop_class_uid not in _COLOURED:
        return "colour where grey values belong"
    if facts.photometric_interpretation == "PALETTE COLOR":
        return "colour where grey values belong"
    if facts.bits_allocated <= 8:
        return "8 bits where measured values belong"
    if not facts.has_position:
        return "no position in the patient"
    return "an overlay in its pixels" if facts.overlay_in_pixels else ""


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip().upper()


def _values(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    if not isinstance(value, (list, MultiValue)):
        return (str(value).strip().upper(),)
    return tuple(str(one).strip().upper() for one in value)


def _joined(dataset: Dataset, keyword: str) -> str:
    return "\\".join(_values(dataset, keyword))


def _pixel_keyword(dataset: Dataset) -> str:
    names = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    found = next((name for name in names if name in dataset), "")
    # A file may have been read up to its pixels: what describes them says that they are there.
    return found or ("PixelData" if "BitsAllocated" in dataset and "Rows" in dataset else "")


def _overlay_in_pixels(dataset: Dataset) -> bool:
    groups = {tag.group for tag in list(dataset.keys()) if _is_overlay(tag.group)}
    return any(
        (group, 0x3000) not in dataset and int(_word(dataset, group, 0x0102)) > 0
        for group in groups
    )


def _is_overlay(group: int) -> bool:
    return _FIRST_OVERLAY <= group <= _LAST_OVERLAY and group % 2 == 0


def _word(dataset: Dataset, group: int, element: int) -> int:
    return int(dataset[group, element].value or 0) if (group, element) in dataset else 0
