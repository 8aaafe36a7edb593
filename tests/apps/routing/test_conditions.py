"""Conditions: read, checked, explained; and nothing but ConditionError, whatever the text."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.apps.routing.conditions import (
    And,
    Compare,
    Keyword,
    ListOf,
    Literal,
    Not,
    Or,
    check,
    explain,
    parse,
    render,
)
from isocenter.apps.routing.conditions.pattern import compile_pattern
from isocenter.apps.routing.conditions.syntax import OPERATORS
from isocenter.core.errors import ConditionError

SATURDAY_EVENING = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)


def facts(*modalities: str, **study):
    series = [
        {"Modality": m, "SeriesNumber": n, "SeriesDescription": f"{m} series"}
        for n, m in enumerate(modalities, start=1)
    ]
    return {
        "ModalitiesInStudy": sorted(set(modalities)),
        "NumberOfStudyRelatedSeries": len(series),
        "series": series,
        "now": SATURDAY_EVENING,
        **study,
    }


def holds(condition: str, known) -> bool:
    return explain(check(condition), known).matched


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", True),
        (
            'Modality == "CT" and "RTSTRUCT" in ModalitiesInStudy and StudyDescription ~ "brain"',
            True,
        ),
        ('Modality == "MR"', False),
        ('not Modality == "MR"', True),
        ('Modality != "CT"', True),  # some series is not CT
        ('Modality in ["MR", "PT"]', False),
        ('Modality not in ["CT"]', True),
        ('"PT" not in ModalitiesInStudy', True),
        ('Modality == "RTSTRUCT" and SeriesNumber == 1', False),  # one series has to have both
        ('Modality == "RTSTRUCT" and SeriesNumber == 2', True),
        ('(Modality == "MR" or Modality == "CT") and SeriesDescription ~ "rtstruct"', False),
        ('SourceAETitle == "SCANNER" or SourceAETitle == "OTHER"', True),
        ("NumberOfStudyRelatedSeries >= 2", True),
        ("SeriesNumber > 2", False),
        ('StudyDate < "20270101"', True),
        ('PatientBirthDate < "19500101"', False),  # empty is neither before nor after
        ('TimeOfDay >= "18:00" and Weekday in ["Sat", "Sun"]', True),
        ('Now < "2026-11-21"', False),
        ('StudyDescription ~ "^CT (brain|head)"', True),
        ('StudyDescription !~ "brain"', False),
        ('ModalitiesInStudy ~ "struct"', True),
    ],
)
def test_meaning(condition, expected):
    known = facts(
        "CT", "RTSTRUCT", StudyDescription="CT Brain 1mm", SourceAETitle="SCANNER ",
        StudyDate="20260102", PatientBirthDate="",
    )  # fmt: skip
    assert holds(condition, known) is expected


def test_not_binds_tighter_than_and_and_tighter_than_or():
    a, b, c = ('StudyID == "1"', 'StudyID == "2"', 'StudyID == "3"')
    tree = parse(f"not {a} and {b} or {c}")
    assert isinstance(tree, Or)
    assert isinstance(tree.terms[0], And)
    assert isinstance(tree.terms[0].terms[0], Not)


def test_an_explanation_says_what_was_found():
    explanation = explain(check('Modality == "MR" and StudyID == "7"'), facts("CT", StudyID="7"))
    assert explanation.sentence == 'does not match: Modality == "MR": no series, Modality is CT'
    assert [term.holds for term in explanation.terms] == [False, True]


@pytest.mark.parametrize(
    ("condition", "position", "words"),
    [
        ('Modalty == "CT"', 0, "did you mean Modality?"),
        ('StudyID == "1" and modality == "CT"', 19, "did you mean Modality?"),
        ("KVP > 100", 0, "does not keep it"),
        ('Modality = "CT"', 9, "did you mean ==?"),
        ('Modality == "CT" AND StudyID == "1"', 17, "did you mean and?"),
        ('Modality == "CT', 12, "not closed"),
        ('SeriesNumber == "3"', 13, "did you mean 3?"),
        ("Modality == 3", 9, 'did you mean "3"?'),
        ('StudyDate > "2026-01-01"', 10, "YYYYMMDD"),
        ('Weekday == "Saturday"', 8, "Mon"),
        ('TimeOfDay > "6pm"', 10, "HH:MM"),
        ('ModalitiesInStudy == "CT"', 18, '"CT" in ModalitiesInStudy'),
        ('Modality == "CT" and Modality == "MR"', 30, '"MR" in ModalitiesInStudy'),
        ('"brain" in StudyDescription', 8, "~"),
        ('StudyDescription ~ "(a"', 19, "not closed"),
        (r'StudyDescription ~ "(a)\1"', 19, "not understood"),
        ('StudyDescription ~ "(?=a)"', 19, "not understood"),
        ('"a" == "a"', 4, "no attribute"),
        ('(StudyID == "1"', 15, ")"),
        ("(" * 60 + 'StudyID == "1"', 50, "more than 50"),
        ("x" * 5000, 4000, "4000 are allowed"),
        ("StudyID", 7, "expected one of"),
    ],
)
def test_errors_say_where_and_what(condition, position, words):
    with pytest.raises(ConditionError) as caught:
        check(condition)
    assert caught.value.position == position
    assert words in str(caught.value)


KEYWORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda word: word not in ("and", "or", "not", "in")
)
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(-1e6, 1e6, allow_nan=False).map(
    lambda value: float(f"{value:.4f}")
)
LITERALS = (st.text(max_size=20) | NUMBERS).map(Literal)
OPERANDS = (
    LITERALS
    | KEYWORDS.map(Keyword)
    | st.lists(LITERALS, max_size=4).map(lambda items: ListOf(tuple(items)))
)
COMPARES = st.builds(Compare, OPERANDS, st.sampled_from(OPERATORS), OPERANDS)


def _joined(kind):
    def build(terms):
        flat = [t for term in terms for t in (term.terms if isinstance(term, kind) else (term,))]
        return kind(tuple(flat))

    return build


TREES = st.recursive(
    COMPARES,
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, min_size=2, max_size=3).map(_joined(And))
        | st.lists(inner, min_size=2, max_size=3).map(_joined(Or))
    ),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=200, deadline=None)
def test_what_is_printed_reads_back_the_same(tree):
    assert parse(render(tree)) == tree


@given(st.text(max_size=80) | st.text(alphabet='()[]",~=!<> andornotinMdlyCT"0.-\\', max_size=80))
@settings(max_examples=400, deadline=None)
def test_no_text_raises_anything_but_condition_error(source):
    try:
        tree = check(source)
    except ConditionError:
        pass
    else:
        explain(tree, facts("CT"))


SAFE_ATOMS = st.sampled_from(
    ["a", "b", "B", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\b", "^", "$"]
)
SAFE_PATTERNS = st.recursive(
    SAFE_ATOMS,
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda p: f"(?:{p[0]}|{p[1]})")
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{1,}"])).map(
            lambda p: f"(?:{p[0]}){p[1]}"
        )
    ),
    max_leaves=6,
)


@given(SAFE_PATTERNS, st.text(alphabet="abBc1 -", max_size=12))
@settings(max_examples=400, deadline=None)
def test_patterns_find_what_python_finds(pattern, text):
    # "$" of Python also matches before a final line feed, which no text here has.
    assert compile_pattern(pattern).search(text) == bool(
        re.search(pattern, text, re.IGNORECASE | re.ASCII)
    )


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(.*)(.*)(.*)(.*)(.*)x$", "(a?){50}a{50}"]
)
def test_a_hostile_pattern_takes_no_time(pattern):
    begin = time.thread_time()  # not the time that others take
    compile_pattern(pattern).search("a" * 1000 + "!")
    assert time.thread_time() - begin < 2


@pytest.mark.parametrize(
    "pattern", ["a{100}" * 40, "((a{100}){100}){100}", "(((){100}){100}){100}"]
)
def test_a_pattern_that_is_too_large_is_refused(pattern):
    with pytest.raises(ConditionError, match=r"too large|longer than"):
        compile_pattern(pattern)


@given(st.text(alphabet="ab(|)*+?{}[]^$\\.,-1d", max_size=40))
@settings(max_examples=400, deadline=None)
def test_no_pattern_raises_anything_but_condition_error(source):
    with contextlib.suppress(ConditionError):
        compile_pattern(source).search("abab11 -")
