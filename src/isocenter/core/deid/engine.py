"""De-identifies one object: one pass over its bytes (PS3.15 E.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from isocenter.core.deid.actions import Action, Record
from isocenter.core.deid.policy import Policy

if TYPE_CHECKING:
    from isocenter.core.deid.elements import Item
    from isocenter.core.deid.identifiers import Identifiers
    from isocenter.core.deid.pseudonyms import PatientAlias
    from isocenter.core.deid.secrets import Secret


class TextCleaner(Protocol):
    """Takes what identifies out of a text."""

    def clean(self, text: str, keyword: str, vr: str) -> tuple[str, list[str]]:
        """The cleaned text, and what kinds of things were found (``date``, ``name`` …)."""


@dataclass(frozen=True, slots=True)
class Override:
    """What a handler wants done to one element of an item, in place of the table's decision.

    ``value`` is the new text where the action is REPLACE; ``rule`` goes to the action log.
    """

    action: Action
    value: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ItemDecision:
    """What a handler says of one sequence item: gone, or elements decided by tag.

    Elements without an override are decided by the table as always, nested ones too. An override
    of RECURSE or KEEP for a sequence means: walk its items.
    """

    drop: bool = False
    overrides: Mapping[int, Override] = field(default_factory=dict)


class Handler(Protocol):
    """Decides the items of a sequence that the table leaves to an option (action C).

    Keys in :attr:`Context.handlers`: ``structured-content`` for ContentSequence at every depth
    and for the root of an SR document (path empty), ``graphics`` for GraphicAnnotationSequence and
    what is in it.
    """

    def item(self, path: str, item: Item) -> ItemDecision:
        """``path`` as in :class:`Record`; ``item`` is a read-only look at the original."""


@dataclass(frozen=True)
class Context:
    """Everything besides the object that decides what becomes of it; one per patient's study."""

    secret: Secret
    policy: Policy
    patient: PatientAlias
    identifiers: Identifiers
    cleaner: TextCleaner
    handlers: Mapping[str, Handler] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """New UIDs of the object, what was done, and why it was refused (nothing was written then)."""

    sop_uid: str
    series_uid: str
    study_uid: str
    sop_class_uid: str
    records: list[Record]
    refused: str | None = None


def deidentify_object(
    source: Path | bytes, target: Path, context: Context, *, durable: bool = True
) -> ObjectResult:
    """Write a de-identified copy of a DICOM file.

    Args:
        source: a DICOM file, or its bytes.
        target: written whole or not at all.
        context: see :class:`Context`.
        durable: sync the file to the disk before it gets its name; a caller that writes many and
            syncs them together says False.

    Raises:
        DicomError: the object cannot be read to its end, or is beyond the bounds.
        OSError: a file cannot be read or written.
    """
    raise NotImplementedError
