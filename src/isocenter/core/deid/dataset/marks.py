"""What the engine writes into every object: that and how it was de-identified (PS3.15 E.1.1)."""

from __future__ import annotations

from functools import lru_cache

from isocenter.core.deid.dataset.elements import Code, write_head, write_item_head
from isocenter.core.deid.policy import BASIC_PROFILE, Option, Policy
from isocenter.core.deid.standard.table import Table

_IDENTITY_REMOVED, _METHOD, _METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
_TEMPORAL = 0x00280303
_SCHEME = "DCM"
_CODE_VALUE, _CODING_SCHEME, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
#: Longitudinal Temporal Information Modified (PS3.3 C.12.1.1).
_TEMPORAL_VALUES = {"remove": "REMOVED", "shift": "MODIFIED", "keep": "UNMODIFIED"}


@lru_cache(maxsize=64)
def marks(
    policy: Policy, before: tuple[Code, ...], implicit: bool
) -> tuple[tuple[int, bytes], ...]:
    """The elements, by tag in order.

    Args:
        policy: its options become codes.
        before: codes of De-identification Method Code Sequence that the object has; those of
            PS3.16 CID 7050 stay.
        implicit: VR.
    """
    codes = [Code(BASIC_PROFILE[0], _SCHEME, BASIC_PROFILE[1])]
    ordered = sorted(policy.options, key=lambda option: option.code)
    codes += [Code(option.code, _SCHEME, option.meaning) for option in ordered]
    said = {code.value for code in codes}
    known = {option.code: option.meaning for option in Option}
    codes += [
        Code(code.value, _SCHEME, known[code.value])
        for code in before
        if code.scheme == _SCHEME and code.value in known and code.value not in said
    ]
    method = f"PS3.15 {Table.load().edition} Annex E\\Isocenter policy {policy.digest()}"
    items = b"".join(_item(code, implicit) for code in codes)
    return (
        (_IDENTITY_REMOVED, _element(_IDENTITY_REMOVED, "CS", "YES", implicit)),
        (_METHOD, _element(_METHOD, "LO", method, implicit)),
        (_METHOD_CODES, write_head(_METHOD_CODES, "SQ", len(items), implicit) + items),
        (_TEMPORAL, _element(_TEMPORAL, "CS", _TEMPORAL_VALUES[policy.dates], implicit)),
    )


def _item(code: Code, implicit: bool) -> bytes:
    elements = (
        _element(_CODE_VALUE, "SH", code.value, implicit)
        + _element(_CODING_SCHEME, "SH", code.scheme, implicit)
        + _element(_CODE_MEANING, "LO", code.meaning, implicit)
    )
    return write_item_head(len(elements)) + elements


def _element(tag: int, vr: str, text: str, implicit: bool) -> bytes:
    value = text.encode("ascii")
    value += b" " * (len(value) % 2)
    return write_head(tag, vr, len(value), implicit) + value
