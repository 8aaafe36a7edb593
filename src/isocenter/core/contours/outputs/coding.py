"""Codes for segments: what an ROI is, in the words of PS3.16.

In order of trust: RTROIIdentificationCodeSequence (3006,0086), which names the thing itself; then
RTROIInterpretedType (3006,00A4), which names its part in the treatment; else Tissue / Connective
tissue, the most general pair that viewers accept. Categories are from CID 7150 and CID 9502, types
from CID 9534 (targets), CID 9535 (dose calculation structures), and the others named below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from isocenter.core.contours.structure_set import Code, Roi


@dataclass(frozen=True)
class SegmentCode:
    """SegmentedPropertyCategoryCodeSequence and SegmentedPropertyTypeCodeSequence."""

    category: Code
    type: Code


TISSUE = Code("85756007", "SCT", "Tissue")
ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
PHYSICAL_OBJECT = Code("260787004", "SCT", "Physical object")
RT_TARGET = Code("130041", "DCM", "RT Target")
RT_DOSE_CALCULATION_STRUCTURE = Code("130042", "DCM", "RT Dose Calculation Structure")
RT_GEOMETRIC_INFORMATION = Code("130043", "DCM", "RT Geometric Information")
RT_REGISTRATION_MARK = Code("130746", "DCM", "RT Registration Mark")
EXTERNAL_BODY_MODEL = Code("130047", "DCM", "External Body Model")
FIXATION_DEVICE = Code("130044", "DCM", "Fixation or Positioning Device")
BRACHYTHERAPY_DEVICE = Code("130045", "DCM", "Brachytherapy Device")
DOSE_CONTROL_OBJECT = Code("130405", "DCM", "Patient-Attached Dose Control Object")
DOSE_REGION = Code("130748", "DCM", "Radiotherapy Dose Region")
SUBSTANCE = Code("105590001", "SCT", "Substance")

FALLBACK = SegmentCode(TISSUE, Code("21793004", "SCT", "Connective tissue"))

#: RTROIInterpretedType (PS3.3 C.8.8.8.1) → codes
BY_INTERPRETED_TYPE: Mapping[str, SegmentCode] = MappingProxyType(
    {
        "GTV": SegmentCode(RT_TARGET, Code("228791009", "SCT", "GTV")),
        "CTV": SegmentCode(RT_TARGET, Code("228792002", "SCT", "CTV")),
        "PTV": SegmentCode(RT_TARGET, Code("228793007", "SCT", "PTV")),
        "ITV": SegmentCode(RT_TARGET, Code("130056", "DCM", "ITV")),
        "TREATED_VOLUME": SegmentCode(RT_TARGET, Code("130059", "DCM", "Treated Volume")),
        "IRRAD_VOLUME": SegmentCode(RT_TARGET, Code("228790005", "SCT", "Irradiated Volume")),
        "ORGAN": SegmentCode(ANATOMICAL_STRUCTURE, Code("91772007", "SCT", "Organ")),
        "OAR": SegmentCode(RT_DOSE_CALCULATION_STRUCTURE, Code("130060", "DCM", "Organ At Risk")),
        "AVOIDANCE": SegmentCode(
            RT_DOSE_CALCULATION_STRUCTURE, Code("130058", "DCM", "Avoidance Volume")
        ),
        "EXTERNAL": SegmentCode(EXTERNAL_BODY_MODEL, Code("38266002", "SCT", "Entire body")),
        "CAVITY": SegmentCode(ANATOMICAL_STRUCTURE, Code("91806002", "SCT", "Body cavity")),
        "BOLUS": SegmentCode(DOSE_CONTROL_OBJECT, Code("228736002", "SCT", "Surface Bolus")),
        "SUPPORT": SegmentCode(PHYSICAL_OBJECT, Code("86407004", "SCT", "Table")),
        "FIXATION": SegmentCode(PHYSICAL_OBJECT, FIXATION_DEVICE),
        "MARKER": SegmentCode(PHYSICAL_OBJECT, Code("112171", "DCM", "Fiducial mark")),
        "REGISTRATION": SegmentCode(RT_REGISTRATION_MARK, Code("112171", "DCM", "Fiducial mark")),
        "CONTRAST_AGENT": SegmentCode(SUBSTANCE, Code("7140000", "SCT", "Contrast agent")),
        "BRACHY_CHANNEL": SegmentCode(
            BRACHYTHERAPY_DEVICE, Code("130080", "DCM", "Brachytherapy channel")
        ),
        "BRACHY_ACCESSORY": SegmentCode(
            BRACHYTHERAPY_DEVICE, Code("228748004", "SCT", "Brachytherapy Device")
        ),
        "BRACHY_SRC_APP": SegmentCode(
            BRACHYTHERAPY_DEVICE, Code("130078", "DCM", "Brachytherapy source applicator")
        ),
        "BRACHY_CHNL_SHLD": SegmentCode(
            BRACHYTHERAPY_DEVICE, Code("130079", "DCM", "Brachytherapy channel shield")
        ),
        "DOSE_REGION": SegmentCode(RT_GEOMETRIC_INFORMATION, DOSE_REGION),
        "DOSE_MEASUREMENT": SegmentCode(RT_GEOMETRIC_INFORMATION, DOSE_REGION),
    }
)


def segment_code(roi: Roi) -> SegmentCode:
    """Category and type of an ROI's segment."""
    by_type = BY_INTERPRETED_TYPE.get(roi.interpreted_type)
    for code in roi.codes:
        if code.value and code.scheme and code.meaning:
            return SegmentCode(by_type.category if by_type else ANATOMICAL_STRUCTURE, code)
    return by_type or FALLBACK
