"""From implicit to explicit VR without decoding a single value (PS3.5 6.2, A.1)."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

_PIXEL_DATA = 0x7FE00010
_PIXEL_REPRESENTATION = 0x00280103
_BITS_ALLOCATED = 0x00280100


def make_explicit(dataset: Dataset, *, signed: bool = False) -> None:
    """Give every element of an implicit data set its VR, from the dictionary, in place.

    Values stay the bytes that they are, even those that make no sense. Sequences are taken apart,
    because their items have to be written anew. What no dictionary knows becomes UN.

    Args:
        dataset: little endian.
        signed: Pixel Representation of what the data set is in; its own goes before.

    Raises:
        what pydicom raises on a broken sequence; see
        :func:`~isocenter.core.dicom.reading.reading_attributes`.
    """
    own = _short(dataset, _PIXEL_REPRESENTATION)
    signed = signed if own is None else own == 1
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        vr = element.VR or _vr_of(dataset, tag, signed)
        if vr == "SQ":
            value = dataset[tag].value
            for item in value if isinstance(value, Sequence) else ():
                make_explicit(item, signed=signed)
        elif isinstance(element, RawDataElement) and element.VR is None:
            dataset[tag] = element._replace(VR=vr, is_implicit_VR=False, value=element.value or b"")
    dataset.set_original_encoding(False, True, dataset.original_character_set)


def _vr_of(dataset: Dataset, tag: BaseTag, signed: bool) -> str:
    if tag.element == 0:
        return "UL"  # group length
    if tag.is_private:
        return _private_vr(dataset, tag)
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return "UN"
    if " or " not in vr:
        return vr
    if tag == _PIXEL_DATA:
        return "OB" if (_short(dataset, _BITS_ALLOCATED) or 16) <= 8 else "OW"
    if "OW" in vr:  # in implicit VR such data is always in words (PS3.5 A.1)
        return "OW"
    return "SS" if signed else "US"


def _private_vr(dataset: Dataset, tag: BaseTag) -> str:
    if tag.is_private_creator:
        return "LO"
    creator_tag = BaseTag(tag.group << 16 | tag.element >> 8)
    if creator_tag not in dataset:
        return "UN"
    try:
        return str(private_dictionary_VR(tag, str(dataset[creator_tag].value)))
    except KeyError:
        return "UN"


def _short(dataset: Dataset, tag: int) -> int | None:
    """A two-byte number of a data set that may be read as implicit or not at all."""
    if tag not in dataset:
        return None
    value = dataset.get_item(tag).value
    if isinstance(value, bytes):
        return int.from_bytes(value[:2], "little") if len(value) >= 2 else None
    return value if isinstance(value, int) else None
