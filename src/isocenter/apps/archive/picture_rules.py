"""Which pictures may name the patient, for whoever may not know whose study it is."""

from __future__ import annotations

#: Modalities whose images often name the patient in their pixels.
OFTEN_BURNED_IN = frozenset({"US", "IVUS", "SC", "XA", "RF", "ES", "OT"})
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds, below it
#: Modalities that have no images.
NO_PICTURE = frozenset({"RTSTRUCT", "RTPLAN", "SR", "KO", "PR", "REG", "ECG", "DOC", "PLAN"})


def may_name_patient(modality: str, sop_class_uid: str) -> bool:
    """Whether the pixels of such an image may name the patient, whatever its header says.

    What a header itself says (Burned In Annotation, PS3.3 C.7.6.1) comes on top.
    """
    return modality in OFTEN_BURNED_IN or sop_class_uid.startswith(SECONDARY_CAPTURE)
