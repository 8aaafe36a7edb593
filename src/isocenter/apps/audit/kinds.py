"""The kinds of event (spec 01, section 6, and what belongs to it)."""

from __future__ import annotations

from enum import StrEnum, auto


class Kind(StrEnum):
    """What happened. The value is the name."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:
        return name

    ASSOCIATION_ACCEPTED = auto()
    ASSOCIATION_REJECTED = auto()
    ASSOCIATION_RELEASED = auto()
    ASSOCIATION_ABORTED = auto()
    C_ECHO = auto()

    INSTANCE_STORED = auto()
    INSTANCE_DUPLICATE = auto()
    INSTANCE_REPLACED = auto()
    INSTANCE_REJECTED = auto()

    SPOOL_DAMAGED = auto()

    STUDY_FLAGGED = auto()
    STUDY_COMPLETE = auto()
    STUDY_FORCED = auto()
    STUDY_HELD = auto()
    STUDY_REOPENED = auto()

    PROCESSING_START = auto()
    PROCESSING_SUCCESS = auto()
    PROCESSING_FAILED = auto()
    PROCESSING_CANCELLED = auto()

    SENDING_START = auto()
    SENDING_SUCCESS = auto()
    SENDING_FAILED = auto()
    SENDING_RETRY = auto()

    QUARANTINED = auto()
    RELEASED = auto()
    QUARANTINE_RETRIED = auto()
    QUARANTINE_DELETED = auto()

    RECEPTION_PAUSED = auto()
    RECEPTION_RESUMED = auto()
    DISK_LOW = auto()

    REINDEXED = auto()

    RETENTION_DELETED = auto()
    STUDY_DELETED = auto()
    SERIES_DELETED = auto()
    INSTANCE_DELETED = auto()
    REJECTED = auto()  # out of the archive into the quarantine
    STUDY_PROTECTED = auto()
    STUDY_UNPROTECTED = auto()

    SIGNED_IN = auto()
    SIGN_IN_FAILED = auto()
    SIGNED_OUT = auto()
    ACCOUNT_LOCKED = auto()
    ACCOUNT_CHANGED = auto()
    GROUP_CHANGED = auto()
    TOKEN_CREATED = auto()
    TOKEN_REVOKED = auto()
    REGISTERED = auto()
    ACCESS_REFUSED = auto()

    STUDY_VIEWED = auto()
    STUDY_QUERIED = auto()
    STUDY_DOWNLOADED = auto()
    STUDY_UPLOADED = auto()
    STOWED = auto()  # STOW-RS: how many instances of a study, how many failed
    QUERY = auto()  # C-FIND, QIDO-RS: which keys were asked, how many answers there were
    RETRIEVED = auto()  # C-GET, C-MOVE, WADO: counts of what went out

    RUN_STARTED = auto()
    RUN_RETRIED = auto()
    RUN_CANCELLED = auto()
    RUN_PRIORITISED = auto()

    ROUTE_CHANGED = auto()
    PIPELINE_CHANGED = auto()
    NODE_CHANGED = auto()
    NODE_ANSWERS = auto()  # again
    COMMITMENT = auto()  # Storage Commitment: what was asked of us, or by us, and its outcome
    NODE_SILENT = auto()
    SETTING_CHANGED = auto()

    PROJECT_CHANGED = auto()
    PSEUDONYMS_IMPORTED = auto()
    PSEUDONYMS_COMPARED = auto()  # a list was held against a map that contradicts it
    PSEUDONYMS_EXPORTED = auto()
    PROJECT_SECRET_EXPORTED = auto()
    PATIENT_LOOKED_UP = auto()
    PROJECT_KEYS_ROTATED = auto()

    EVENTS_EXPORTED = auto()


def text_of(kind: str) -> str:
    """A kind for people: "Instance stored"."""
    return "C-ECHO" if kind == Kind.C_ECHO else kind.replace("_", " ").capitalize()


# What belongs together, as filters offer it. Every kind is in exactly one.
GROUPS: dict[str, tuple[Kind, ...]] = {
    "Reception": (
        Kind.ASSOCIATION_ACCEPTED,
        Kind.ASSOCIATION_REJECTED,
        Kind.ASSOCIATION_RELEASED,
        Kind.ASSOCIATION_ABORTED,
        Kind.C_ECHO,
        Kind.INSTANCE_STORED,
        Kind.INSTANCE_DUPLICATE,
        Kind.INSTANCE_REPLACED,
        Kind.INSTANCE_REJECTED,
        Kind.SPOOL_DAMAGED,
        Kind.RECEPTION_PAUSED,
        Kind.RECEPTION_RESUMED,
        Kind.DISK_LOW,
        Kind.REINDEXED,
    ),
    "Studies": (
        Kind.STUDY_FLAGGED,
        Kind.STUDY_COMPLETE,
        Kind.STUDY_FORCED,
        Kind.STUDY_HELD,
        Kind.STUDY_REOPENED,
        Kind.STUDY_PROTECTED,
        Kind.STUDY_UNPROTECTED,
        Kind.STUDY_DELETED,
        Kind.SERIES_DELETED,
        Kind.INSTANCE_DELETED,
        Kind.REJECTED,
        Kind.RETENTION_DELETED,
    ),
    "Access": (
        Kind.STUDY_VIEWED,
        Kind.STUDY_QUERIED,
        Kind.STUDY_DOWNLOADED,
        Kind.STUDY_UPLOADED,
        Kind.STOWED,
        Kind.QUERY,
        Kind.RETRIEVED,
        Kind.EVENTS_EXPORTED,
        Kind.ACCESS_REFUSED,
    ),
    "Processing": (
        Kind.PROCESSING_START,
        Kind.PROCESSING_SUCCESS,
        Kind.PROCESSING_FAILED,
        Kind.PROCESSING_CANCELLED,
        Kind.RUN_STARTED,
        Kind.RUN_RETRIED,
        Kind.RUN_CANCELLED,
        Kind.RUN_PRIORITISED,
    ),
    "Sending": (
        Kind.SENDING_START,
        Kind.SENDING_SUCCESS,
        Kind.SENDING_FAILED,
        Kind.SENDING_RETRY,
        Kind.NODE_SILENT,
        Kind.NODE_ANSWERS,
        Kind.COMMITMENT,
    ),
    "Quarantine": (
        Kind.QUARANTINED,
        Kind.RELEASED,
        Kind.QUARANTINE_RETRIED,
        Kind.QUARANTINE_DELETED,
    ),
    "People": (
        Kind.SIGNED_IN,
        Kind.SIGN_IN_FAILED,
        Kind.SIGNED_OUT,
        Kind.ACCOUNT_LOCKED,
        Kind.ACCOUNT_CHANGED,
        Kind.GROUP_CHANGED,
        Kind.TOKEN_CREATED,
        Kind.TOKEN_REVOKED,
        Kind.REGISTERED,
    ),
    "Configuration": (
        Kind.ROUTE_CHANGED,
        Kind.PIPELINE_CHANGED,
        Kind.NODE_CHANGED,
        Kind.SETTING_CHANGED,
    ),
    "De-identification": (
        Kind.PROJECT_CHANGED,
        Kind.PSEUDONYMS_IMPORTED,
        Kind.PSEUDONYMS_COMPARED,
        Kind.PSEUDONYMS_EXPORTED,
        Kind.PROJECT_SECRET_EXPORTED,
        Kind.PATIENT_LOOKED_UP,
        Kind.PROJECT_KEYS_ROTATED,
    ),
}
