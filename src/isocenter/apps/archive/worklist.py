"""The worklist: studies by every column, sorted, page by page, fast at a million of them.

How it stays fast, whatever is searched for:

1. The index of the sort order is walked, by the stages of `ordered` as far as what was found so
   far promises a whole page. What many studies match fills its page there.
2. Else few match. Their sort keys, `MOST` at most, are read in one pass, words by the index of
   ``words`` (migration ``0002_worklist``), and sorted.
3. Where even that is too much (all of them lie far back in the order), the walk goes on.

Two words of a name are looked up together (migration ``0005_name_pairs``): to find those in both
of two long lists takes long, however few they are. Then only the order in which rows lie on the
disk is worth a walk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from itertools import combinations
from typing import Any

from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Collate, Upper

from isocenter.apps.archive.flags import IDENTIFYING_FLAGS
from isocenter.apps.archive.models import Source, Study
from isocenter.apps.archive.ordered import (
    FEW,
    MOST,
    Key,
    count_of,
    gathered,
    walk,
    walked,
)
from isocenter.core.errors import ConfigurationError
from isocenter.runtime.days import end_of_day, start_of_day

PAGE = 50
_NEW_MOST = 100
_AS_THEY_LIE = "received"  # the order in which rows came and lie
_START = 3  # letters of a word in the index of pairs

#: Attributes that tell who the patient is: searched and sorted by those who may see them.
IDENTIFYING = frozenset(
    {"patient_name", "patient_id", "patient_birth_date", "accession_number", "text"}
)
_WEIGHTS = {
    "patient_name": "A",
    "patient_id": "B",
    "accession_number": "C",
    "study_description": "D",
}
_WORD = re.compile(r"[^\W_]+")
_IS_OTHER = " && ".join(f'@.code != "{code}"' for code in sorted(IDENTIFYING_FLAGS))
_OTHER_FLAGS = Func(
    template=f"""jsonb_path_exists("archive_study"."flags", '$[*] ? ({_IS_OTHER})')""",
    output_field=BooleanField(),
)
_UID = re.compile(r"\d+(\.\d+){2,}\.?")


@dataclass(frozen=True)
class WorklistFilter:
    """Which studies, and in which order. Empty fields say nothing.

    Texts are beginnings of words, all of which have to be there: ``mul ann`` finds
    ``MULLER^ANNA``. Days are days of UTC, both ends included.

    Attributes:
        text: words of any of name, patient ID, accession number, study ID, description,
            referring physician, modality; or the beginning of a Study Instance UID.
        patient_birth_date: beginning of the date, with or without hyphens: ``1970-05``.
        modalities: any of them is in the study.
        source: beginning of the calling AE title.
        flagged: only studies with something that a person should see, as far as they may.
        failed: only studies with a failed run or delivery.
        sort: a key of `SORTS`, with ``-`` before it for the other direction.
    """

    text: str = ""
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    accession_number: str = ""
    study_description: str = ""
    study_from: date | None = None
    study_to: date | None = None
    received_from: date | None = None
    received_to: date | None = None
    modalities: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    source: str = ""
    flagged: bool = False
    failed: bool = False
    instances_min: int | None = None
    instances_max: int | None = None
    sort: str = ""

    @property
    def order(self) -> str:
        """The sort that counts: by study date where that is searched, else the last received."""
        if self.sort.removeprefix("-") in SORTS:
            return self.sort
        return "-study_date" if self.study_from or self.study_to else "-received"

    @property
    def is_empty(self) -> bool:
        """Whether every study matches."""
        return replace(self, sort="") == WorklistFilter()

    def searched(self) -> list[str]:
        """Names of the fields that say something, for the audit."""
        return [
            name for name in self.__dataclass_fields__ if name != "sort" and getattr(self, name)
        ]

    def identifying(self) -> list[str]:
        """Fields in use that tell who a patient is. ``text`` is none: for those who may not see
        identities it is looked for in descriptions alone."""
        found = [name for name in sorted(IDENTIFYING - {"text"}) if getattr(self, name)]
        return [*found, "sort"] if self.sort.removeprefix("-") in IDENTIFYING else found

    def without_identity(self) -> WorklistFilter:
        """For those who may not see identities: such a search could tell them."""
        hidden: dict[str, Any] = {name: "" for name in IDENTIFYING if name != "text"}
        if self.sort.removeprefix("-") in IDENTIFYING:
            hidden["sort"] = ""
        return replace(self, **hidden)


#: What can be sorted by, as an index has it.
SORTS: Mapping[str, Combinable] = {
    "received": F("last_received_at"),
    "study_date": F("study_date"),
    "patient_name": Collate(Upper("patient_name"), "C"),
    "patient_id": F("patient_id"),
    "patient_birth_date": F("patient_birth_date"),
    "accession_number": F("accession_number"),
    "study_description": F("study_description"),
    "instances": F("instance_count"),
}


@dataclass(frozen=True)
class Cursor:
    """A place in a sorted list: right after a row, or right before it."""

    value: Any
    row: int
    backwards: bool = False

    def as_dict(self) -> dict[str, Any]:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        return {"v": value, "i": self.row, "b": self.backwards}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any] | None) -> Cursor | None:
        """None for what is no cursor."""
        if not given or not isinstance(given.get("i"), int):
            return None
        return cls(given.get("v"), given["i"], bool(given.get("b")))


@dataclass(frozen=True)
class WorklistPage:
    """Some studies, and the way on.

    Attributes:
        total: how many match; ``is_about``: many, and reckoned.
        newest: the highest row number there is, to ask `new_since` for.
    """

    studies: list[Study] = field(default_factory=list)
    total: int = 0
    is_about: bool = False
    previous: Cursor | None = None
    next: Cursor | None = None
    newest: int = 0


def worklist(
    asked: WorklistFilter,
    *,
    identified: bool,
    cursor: Cursor | None = None,
    limit: int = PAGE,
) -> WorklistPage:
    """One page of the studies that match.

    Args:
        identified: whether who asks may know whose the studies are.
        cursor: of the page before or after; None for the first page.
    """
    asked = asked if identified else asked.without_identity()
    name = asked.order.removeprefix("-")
    place = _place(cursor, name)
    cursor = cursor if place else None
    descends = asked.order.startswith("-") != (cursor is not None and cursor.backwards)
    condition = _condition(asked, identified=identified)
    everything: QuerySet[Any] = Study.objects.annotate(sort_key=SORTS[name])
    found = everything.filter(condition)
    way = walk(everything, place, descends=descends)
    pairs = _pairs(asked)
    taken: list[Key] = []
    total: tuple[int, bool] | None = None
    if asked.is_empty:
        taken = list(way[: limit + 1])
    elif not pairs or name == _AS_THEY_LIE:
        taken = walked(way, condition, limit + 1)
    if len(taken) <= limit and not asked.is_empty:
        taken, matching_count = gathered(found, place, limit + 1, descends=descends)
        if matching_count > MOST:
            taken = list(walk(found, place, descends=descends)[: limit + 1])
        else:
            total = matching_count, False
    if total is None:
        # PostgreSQL knows how frequent a pair is, and takes its two words for unrelated.
        like = everything.filter(_condition(replace(asked, patient_name=""), identified=identified))
        like = like.filter(_has_pairs(pairs)) if pairs else found
        total = count_of(found, MOST if asked.is_empty else FEW, like=like)
    count, is_about = total
    newest = Study.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    shown, before, after = _slice(taken, limit, cursor)
    studies = rows_now([row for _, row in shown])
    return WorklistPage(studies, count, is_about, before, after, newest)


def _place(cursor: Cursor | None, name: str) -> Key | None:
    """Where a cursor points in this order; None when it belongs to another."""
    if cursor is None:
        return None
    try:
        if name == "received":
            return datetime.fromisoformat(str(cursor.value)), cursor.row
        if name == "instances":
            return int(cursor.value), cursor.row
    except (TypeError, ValueError):
        return None
    return str(cursor.value), cursor.row


def _slice(
    taken: list[Key], limit: int, cursor: Cursor | None
) -> tuple[list[Key], Cursor | None, Cursor | None]:
    """A page's keys in the order of the list, and the ways to those before and after."""
    has_more = len(taken) > limit
    shown = taken[:limit]
    backwards = cursor is not None and cursor.backwards
    if backwards:
        shown.reverse()
    before = after = None
    if shown:
        if has_more if backwards else cursor is not None:
            before = Cursor(*shown[0], backwards=True)
        if backwards or has_more:
            after = Cursor(*shown[-1])
    return shown, before, after


def rows_now(ids: Sequence[int]) -> list[Study]:
    """These studies as they are now, in this order; those that are gone are left out."""
    found = Study.objects.select_related("source").in_bulk(list(ids))
    return [found[key] for key in ids if key in found]


def new_since(asked: WorklistFilter, newest: int, *, identified: bool) -> int:
    """How many matching studies came after the page was made, a hundred at most."""
    asked = asked if identified else asked.without_identity()
    found = matching(asked, identified=identified).filter(pk__gt=newest)
    return found.order_by()[:_NEW_MOST].count()


def matching(asked: WorklistFilter, *, identified: bool) -> QuerySet[Study]:
    """Studies that match, in no order.

    Raises:
        ConfigurationError: a state that does not exist.
    """
    return Study.objects.filter(_condition(asked, identified=identified))


def _condition(asked: WorklistFilter, *, identified: bool) -> Q:
    condition = Q()
    for part in (
        *_texts(asked, identified=identified),
        *_dates(asked),
        *_rest(asked, identified=identified),
    ):
        condition &= part
    if pairs := _pairs(asked):
        condition &= _has_pairs(pairs)  # the last: looked at row by row, few come so far
    return condition


def _has_pairs(pairs: list[str]) -> Q:
    template = 'archive_name_pairs("archive_study"."patient_name") @> %(expressions)s::text[]'
    return Q(Func(Value(pairs), template=template, output_field=BooleanField()))


def _pairs(asked: WorklistFilter) -> list[str]:
    """The beginnings of every two long words of the name, as the index of pairs has them."""
    words = _words(asked.patient_name)
    starts = sorted({word[:_START] for word in words if len(word) >= _START})
    return [f"{one}+{other}" for one, other in combinations(starts, 2)]


def _texts(asked: WorklistFilter, *, identified: bool) -> list[Q]:
    conditions: list[Q] = []
    match = partial(_words_match, by_index=not _pairs(asked))
    text = asked.text.strip()
    if _UID.fullmatch(text):
        conditions.append(Q(study_uid__startswith=text))
    elif text:
        weight = "" if identified else "D"
        each = [f"('{word}':*{weight} | '{word.upper()}')" for word in _words(text)]
        conditions += match(each)
    for name, weight in _WEIGHTS.items():
        each = [f"'{word}':*{weight}" for word in _words(getattr(asked, name))]
        conditions += match(each)
    birth_date = "".join(_words(asked.patient_birth_date))
    if birth_date:
        conditions += match([f"'B{birth_date}':*"])
    modalities = [word.upper() for given in asked.modalities for word in _words(given)]
    if modalities:
        conditions += match(["(" + " | ".join(f"'{word}'" for word in modalities) + ")"])
    return conditions


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _words_match(each: Sequence[str], *, by_index: bool) -> list[Q]:
    """All of these parts of a tsquery; letters and digits are all that words have in them."""
    if not each:
        return []
    query = " & ".join(each)
    # IS TRUE changes nothing but that the index of words is not read.
    use = "" if by_index else " IS TRUE"
    template = f'("archive_study"."words" @@ %(expressions)s::tsquery){use}'
    return [Q(Func(Value(query), template=template, output_field=BooleanField()))]


def _dates(asked: WorklistFilter) -> list[Q]:
    conditions = []
    if asked.study_from:
        conditions.append(Q(study_date__gte=_digits(asked.study_from)))
    if asked.study_to:
        conditions.append(Q(study_date__lte=_digits(asked.study_to)))
        conditions.append(Q(study_date__gt=""))
    if asked.received_from:
        conditions.append(Q(last_received_at__gte=start_of_day(asked.received_from)))
    if asked.received_to:
        conditions.append(Q(last_received_at__lt=end_of_day(asked.received_to)))
    return conditions


def _digits(day: date) -> str:
    """As DICOM writes a day: of eight digits, in early years too."""
    return day.isoformat().replace("-", "")


def _rest(asked: WorklistFilter, *, identified: bool) -> list[Q]:
    from isocenter.apps.routing.queries import studies_in_trouble  # it asks the archive too

    conditions = []
    unknown = set(asked.states) - set(Study.State.values)
    if unknown:
        raise ConfigurationError(
            f"no state {', '.join(sorted(unknown))}",
            hint=f"states: {', '.join(Study.State.values)}",
        )
    if asked.states:
        conditions.append(Q(state__in=asked.states))
        if Study.State.COMPLETE not in asked.states:
            conditions.append(~Q(state=Study.State.COMPLETE))  # what the partial index says
    if asked.source:
        # As numbers: PostgreSQL then knows how much each of them sent.
        senders = Source.objects.filter(calling_ae_title__istartswith=asked.source.strip())
        numbers = list(senders.values_list("pk", flat=True)) or [0]
        conditions.append(Q(source__in=numbers))
    if asked.flagged:
        conditions.append(~Q(flags=[]))
        if not identified:
            conditions.append(Q(_OTHER_FLAGS))
    if asked.failed:
        conditions.append(Q(pk__in=studies_in_trouble()))
    if asked.instances_min is not None:
        conditions.append(Q(instance_count__gte=asked.instances_min))
    if asked.instances_max is not None:
        conditions.append(Q(instance_count__lte=asked.instances_max))
    return conditions
