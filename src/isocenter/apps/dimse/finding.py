"""C-FIND over the archive's search."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from django.conf import settings

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.archive.queries import (
    SEARCHABLE,
    Attribute,
    Level,
    Match,
    Question,
    Value,
    search,
    unsupported,
)
from isocenter.apps.dimse.answering import answering, require
from isocenter.apps.dimse.database import asked, borrowed
from isocenter.core.network.answers import Field
from isocenter.core.network.command import DATA_SET_DOES_NOT_MATCH, OUT_OF_RESOURCES
from isocenter.core.network.find import Findings
from isocenter.core.network.identifiers import CHARACTER_SET, Element, Values
from isocenter.core.network.query_model import (
    QUERY_RETRIEVE_LEVEL,
    UNIQUE_KEYS,
    Query,
    QueryLevel,
    QueryRefused,
)
from isocenter.core.network.services import AssociationInfo
from isocenter.core.network.sop_classes import PATIENT_ROOT

# What the protocol itself answers, or nobody can be asked for.
_OF_THE_PROTOCOL = frozenset((QUERY_RETRIEVE_LEVEL, CHARACTER_SET, 0x00080053, 0x00080054))
_AT_ONCE = 50
_MOMENT_S = 0.05


class ArchiveFinder:
    """A `FindProvider`."""

    def find(self, query: Query, caller: AssociationInfo) -> Findings:
        """Answer a query of a node that may ask."""

        def begin() -> tuple[Question, Iterator[Match]]:
            require(caller, DimseRight.QUERY)
            question = _question(query)
            return question, search(question)

        with answering():
            question, matches = asked(begin)
            is_partial = bool(unsupported(question))
        wanted = _wanted(question)
        fields = [Field(attribute.tag, attribute.vr) for attribute in wanted]
        return Findings(fields, _answers(matches, wanted), is_partial)

    def prepare(self) -> None:
        """All is there."""

    def close(self) -> None:
        """The association has ended; it holds nothing."""


def _question(query: Query) -> Question:
    identifier = query.identifier
    keys = {tag: text for tag, text in identifier.texts.items() if tag not in _OF_THE_PROTOCOL}
    sequence_keys: dict[tuple[int, int], str] = {}
    for tag, items in identifier.sequences.items():
        if len(items) > 1:
            raise QueryRefused(
                DATA_SET_DOES_NOT_MATCH, f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has several items"
            )
        for item in items:
            sequence_keys |= {(tag, inner): text for inner, text in item.texts.items()}
    return Question(
        level=Level(str(query.level)),
        keys=keys,
        sequence_keys=sequence_keys,
        returns=frozenset((*keys, *identifier.sequences, *_unique(query))),
        fuzzy=query.is_fuzzy,
        combined=query.is_combined,
        is_bare=True,
    )


def _unique(query: Query) -> frozenset[int]:
    """The unique keys down to the level of a query."""
    levels = list(QueryLevel)
    first = 0 if query.sop_class in PATIENT_ROOT else 1
    return frozenset(UNIQUE_KEYS[level] for level in levels[first : levels.index(query.level) + 1])


def _wanted(question: Question) -> tuple[Attribute, ...]:
    """What an answer holds: what was asked for, and the unique keys down to the level."""
    known = SEARCHABLE[question.level]
    tags = question.returns - _OF_THE_PROTOCOL
    return tuple(known[tag] for tag in sorted(tags) if tag in known)


def _answers(matches: Iterator[Match], wanted: Sequence[Attribute]) -> Iterator[list[Values]]:
    most = settings.ISOCENTER.receiver.max_answers
    number = 0
    while True:
        with answering():
            some, is_end = _some(matches)
        for match in some:
            number += 1
            if number > most:
                raise QueryRefused(OUT_OF_RESOURCES, f"more than {most} answers; ask more narrowly")
            values = match.values
            yield [
                _items(attribute, values.get(attribute.tag, ()))
                if attribute.vr == "SQ"
                else values.get(attribute.tag, ())
                for attribute in wanted
            ]
        if is_end:
            return


def _some(matches: Iterator[Match]) -> tuple[list[Match], bool]:
    """As many as are there in a moment, and whether there are no more.

    A peer that takes its answers slowly holds no connection to the database.
    """
    found: list[Match] = []
    until = time.monotonic() + _MOMENT_S
    with borrowed():
        for match in matches:
            found.append(match)
            if len(found) >= _AT_ONCE or time.monotonic() > until:
                return found, False
    return found, True


def _items(attribute: Attribute, value: Value) -> Values:
    return [_item(attribute, item) for item in value if isinstance(item, Mapping)]


def _item(attribute: Attribute, item: Mapping[int, Value]) -> list[Element]:
    return [
        Element(tag, attribute.items[tag].vr, value)
        for tag, value in item.items()
        if tag in attribute.items
    ]
