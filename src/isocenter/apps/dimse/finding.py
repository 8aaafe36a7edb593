"""C-FIND over the archive's search."""

from __future__ import annotations

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
from isocenter.apps.dimse.answering import answering, end_of_association, require
from isocenter.core.network.command import DATA_SET_DOES_NOT_MATCH, OUT_OF_RESOURCES
from isocenter.core.network.find import Findings
from isocenter.core.network.identifiers import CHARACTER_SET, Element
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


class ArchiveFinder:
    """A `FindProvider`."""

    def find(self, query: Query, caller: AssociationInfo) -> Findings:
        """Answer a query of a node that may ask."""
        with answering():
            require(caller, DimseRight.QUERY)
            question = _question(query)
            matches = search(question)
            is_partial = bool(unsupported(question))
        wanted = _wanted(query, question)
        return Findings(_answers(matches, wanted), is_partial)

    def prepare(self) -> None:
        """All is there."""

    def close(self) -> None:
        """The association of this thread has ended."""
        end_of_association()


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
        returns=frozenset((*keys, *identifier.sequences)),
        fuzzy=query.is_fuzzy,
        combined=query.is_combined,
    )


def _wanted(query: Query, question: Question) -> tuple[Attribute, ...]:
    """What an answer holds: what was asked for, and the unique keys down to the level."""
    levels = list(QueryLevel)
    first = 0 if query.sop_class in PATIENT_ROOT else 1
    unique = {UNIQUE_KEYS[level] for level in levels[first : levels.index(query.level) + 1]}
    known = SEARCHABLE[question.level]
    tags = (question.returns | unique) - _OF_THE_PROTOCOL
    return tuple(known[tag] for tag in sorted(tags) if tag in known)


def _answers(matches: Iterator[Match], wanted: Sequence[Attribute]) -> Iterator[Sequence[Element]]:
    most = settings.ISOCENTER.receiver.max_answers
    with answering():
        for number, match in enumerate(matches):
            if number >= most:
                raise QueryRefused(OUT_OF_RESOURCES, f"more than {most} answers; ask more narrowly")
            values = match.values
            yield [_element(attribute, values.get(attribute.tag, ())) for attribute in wanted]


def _element(attribute: Attribute, value: Value) -> Element:
    if attribute.vr != "SQ":
        return Element(attribute.tag, attribute.vr, value)
    items = [_item(attribute, item) for item in value if isinstance(item, Mapping)]
    return Element(attribute.tag, "SQ", items)


def _item(attribute: Attribute, item: Mapping[int, Value]) -> list[Element]:
    return [
        Element(tag, attribute.items[tag].vr, value)
        for tag, value in item.items()
        if tag in attribute.items
    ]
