"""What counts as storage, compared with pydicom's dictionary of PS3.6."""

from __future__ import annotations

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom.presentation import StoragePresentationContexts

from isocenter.core.network.registry import NON_STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from isocenter.core.network.sop_classes import (
    choose_syntax_to_send,
    choose_transfer_syntax,
    is_storage,
)

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
JPEG_LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
_KNOWN = {uid: (entry[0], entry[1]) for uid, entry in UID_dictionary.items()}


def test_every_registered_transfer_syntax_is_known_with_its_state() -> None:
    theirs = {
        uid: bool(entry[3])
        for uid, entry in UID_dictionary.items()
        if entry[1] == "Transfer Syntax"
    }
    assert theirs.items() <= TRANSFER_SYNTAXES.items()


@pytest.mark.parametrize(
    "uid", [uid for uid, (_, kind) in _KNOWN.items() if kind in ("SOP Class", "Meta SOP Class")]
)
def test_registered_sop_classes_are_stored_when_their_name_says_so(uid: str) -> None:
    name, _ = _KNOWN[uid]
    is_other = name.startswith(("Storage Commitment", "Media Storage Directory"))
    assert is_storage(uid) == (("Storage" in name and not is_other) or not name)


def test_what_pynetdicom_calls_storage_is_storage() -> None:
    assert all(is_storage(str(context.abstract_syntax)) for context in StoragePresentationContexts)


def test_private_and_unknown_classes_are_stored() -> None:
    assert is_storage("1.3.12.2.1107.5.9.1")
    assert is_storage("1.2.840.10008.5.1.4.1.1.99999")
    assert not is_storage("")
    assert not is_storage("1.2.840.10008.1.2.1")


def test_names_are_those_of_the_classes() -> None:
    assert NON_STORAGE_SOP_CLASSES["1.2.840.10008.1.1"] == "Verification"


def test_transfer_syntax_of_nothing() -> None:
    assert choose_transfer_syntax(()) is None
    assert choose_transfer_syntax(("",)) is None


@pytest.mark.parametrize(
    ("preferred", "chosen"),
    [
        (EXPLICIT, EXPLICIT),
        (IMPLICIT, IMPLICIT),
        (JPEG_LS, JPEG_LS),
        (JPEG_LOSSLESS, EXPLICIT),  # instances that are stored otherwise could not be sent
        (JPEG_2000, EXPLICIT),  # is not proposed
        ("", EXPLICIT),
    ],
)
def test_as_most_are_stored_where_the_others_can_be_made_so(preferred: str, chosen: str) -> None:
    proposed = (JPEG_LOSSLESS, JPEG_LS, BIG, IMPLICIT, EXPLICIT)
    assert choose_syntax_to_send(proposed, preferred) == chosen


def test_where_nothing_uncompressed_is_proposed_the_first_is_taken() -> None:
    assert choose_syntax_to_send((JPEG_LOSSLESS, JPEG_LS)) == JPEG_LOSSLESS
    assert choose_syntax_to_send((JPEG_LOSSLESS, JPEG_LS), JPEG_LS) == JPEG_LS
