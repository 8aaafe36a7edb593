"""Which SOP classes are stored, which are something else (PS3.4 annex B.5, PS3.6 annex A)."""

from __future__ import annotations

from pydicom.uid import UID_dictionary

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"

_NOT_STORED = ("Storage Commitment", "Storage Management", "Media Storage Directory")


def _is_storage_entry(name: str, kind: str) -> bool:
    if not name:  # retired image classes that have lost their names
        return kind == "SOP Class"
    return kind == "SOP Class" and "Storage" in name and not name.startswith(_NOT_STORED)


#: Every registered UID that is not the UID of a storage SOP class.
NON_STORAGE = frozenset(
    uid for uid, entry in UID_dictionary.items() if not _is_storage_entry(entry[0], entry[1])
)

_TRANSFER_SYNTAXES = {
    uid: bool(entry[3]) for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"
}


def is_storage(sop_class_uid: str) -> bool:
    """True for storage SOP classes, private and unknown ones included."""
    return bool(sop_class_uid) and sop_class_uid not in NON_STORAGE


def choose_transfer_syntax(proposed: tuple[str, ...]) -> str | None:
    """The one that is accepted of several: the sender's first that is registered and not retired.

    A sender that proposes several in one context can write each of them, so its order is its
    preference; retired ones (explicit big endian) and private ones are taken when there is
    nothing else. None when nothing is proposed.
    """
    usable = [uid for uid in proposed if uid]
    for uid in usable:
        if _TRANSFER_SYNTAXES.get(uid) is False:
            return uid
    known = [uid for uid in usable if uid in _TRANSFER_SYNTAXES]
    return (known or usable or [None])[0]
