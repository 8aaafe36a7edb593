"""Which SOP classes are stored, which are something else (PS3.4 annex B.5, PS3.6 annex A)."""

from __future__ import annotations

from .registry import NON_STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # the push model

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
FIND_CLASSES = frozenset((PATIENT_ROOT_FIND, STUDY_ROOT_FIND))
MOVE_CLASSES = frozenset((PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE))
GET_CLASSES = frozenset((PATIENT_ROOT_GET, STUDY_ROOT_GET))
PATIENT_ROOT = frozenset((PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET))

_OF_DATA_SETS = frozenset(
    (
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
    )
)
_SENDABLE = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")  # whatever is stored can become these
# And what is an image can become these, without loss: deflated, JPEG-LS, JPEG 2000, RLE.
_WRITABLE = frozenset(
    (
        *_SENDABLE,
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
    )
)


def is_storage(sop_class_uid: str) -> bool:
    """True for storage SOP classes, private and unknown ones included."""
    return (
        bool(sop_class_uid)
        and sop_class_uid not in NON_STORAGE_SOP_CLASSES
        and sop_class_uid not in TRANSFER_SYNTAXES
    )


def choose_transfer_syntax(proposed: tuple[str, ...]) -> str | None:
    """The one that is accepted of several: the sender's first that is registered and not retired.

    A sender that proposes several in one context can write each of them, so its order is its
    preference; retired ones (explicit big endian) and private ones are taken when there is
    nothing else. None when nothing is proposed.
    """
    usable = [uid for uid in proposed if uid]
    for uid in usable:
        if TRANSFER_SYNTAXES.get(uid) is False:
            return uid
    known = [uid for uid in usable if uid in TRANSFER_SYNTAXES]
    return next(iter(known or usable), None)


def choose_query_syntax(proposed: tuple[str, ...]) -> str | None:
    """The one that is accepted of several for a query or retrieval: the peer's first that says
    how data sets are written and nothing of pixels."""
    return next((uid for uid in proposed if uid in _OF_DATA_SETS), None)


def choose_syntax_to_send(proposed: tuple[str, ...], preferred: str = "") -> str | None:
    """The one that is accepted of several for what we shall send (C-GET).

    What will be sent is not known yet. As most of this class are stored is best, where the others
    can be made so: an old JPEG cannot, and who asked for it would not get them. Else uncompressed,
    which every readable instance can be, explicit before implicit. getscu proposes each class
    once, with the compressed syntax that it was told and the uncompressed ones behind; a peer
    that wants all instances as they are stored proposes a context for each transfer syntax.

    Args:
        preferred: the transfer syntax that most instances of this class are stored in.
    """
    if preferred in proposed and preferred in _WRITABLE:
        return preferred
    wanted = [uid for uid in _SENDABLE if uid in proposed]
    return wanted[0] if wanted else choose_transfer_syntax(proposed)
