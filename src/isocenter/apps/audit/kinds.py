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

    RETENTION_DELETED = auto()
    STUDY_DELETED = auto()
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

    RUN_STARTED = auto()
    RUN_RETRIED = auto()
    RUN_CANCELLED = auto()

    ROUTE_CHANGED = auto()
    PIPELINE_CHANGED = auto()
    NODE_CHANGED = auto()
    NODE_ANSWERS = auto()  # again
    NODE_SILENT = auto()
    SETTING_CHANGED = auto()

    EVENTS_EXPORTED = auto()
