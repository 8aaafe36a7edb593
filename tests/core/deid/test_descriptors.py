"""Free text without what identifies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.policy import Policy
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.searching import Search
from isocenter.core.deid.text.descriptors import Cleaner
from isocenter.core.deid.text.lexicon import Lexicon
from isocenter.core.deid.text.matching import Span

IDENTIFIERS = Identifiers(
    names=frozenset(("Doe^John", "Müller^Änne^^Dr.", "山田^太郎", "Chest^Phantom")),
    texts=frozenset(
        (
            ("id", "12345678"),
            ("id", "7"),
            ("id", "AB-12-34"),
            ("phone", "+49 30 1234567"),
            ("address", "Hauptstr. 5, 10115 Berlin"),
            ("institution", "St. Nowhere Clinic"),
        )
    ),
    days=frozenset(("20040115", "19500302")),
    uids=frozenset(("1.2.3.4.5.6",)),
)
CLEANER = Cleaner(IDENTIFIERS)


def cleaned(text: str, keyword: str = "SeriesDescription", vr: str = "LO") -> str:
    return CLEANER.clean(text, keyword, vr)[0]


@pytest.mark.parametrize(
    "text",
    [
        "CT Thorax mit KM",
        "t1_mprage_sag_p2_iso",
        "Ax T2 FLAIR FS 3mm",
        "Perfusion_4D 1.0 Hr36",
        "CTA Abdomen/Pelvis W/WO",
        "MR.Brain w/o contrast",
        "L4/5 B30f 18F-FDG SUVbw",
        "Resonancia magnética de rodilla izquierda sin contraste",
        "Tomografia de tórax com contraste",
        "Bauchaorta Lebermetastase",
        "512x512",
        "65 year old male",
        "TR 1500",
    ],
)
def test_words_of_radiology_stay(text: str) -> None:
    assert CLEANER.clean(text, "SeriesDescription", "LO") == (text, [])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("DOE JOHN CT", "CT"),
        ("T1 Anne Mueller", "T1"),
        ("Janusz Kowalski MRI Head", "MRI Head"),
        ("AB 12 34 / 12345678 brain", "brain"),
        ("March 2, 1950 knee", "knee"),
        ("knee 11.12.2013", "knee"),
        ("call 030/1234567", ""),
        ("123-45-6789", ""),
        ("john.doe@hospital.org", ""),
        ("http://pacs.local/?id=3 CT", "CT"),
        ("患者山田太郎 CT", "CT"),
        ("CT 1.2.3.4.5.6", "CT"),
        ("7", ""),
        ("CT Berlin", "CT"),
        ("Signed by: Peter White", "Signed by"),
        ("Head, seen by Dr. Brown", "Head, seen by"),
        ("95 years", "years"),
        ("year 2004", "year"),
    ],
)
def test_what_identifies_goes(text: str, left: str) -> None:
    assert cleaned(text) == left


def test_long_texts_say_where_something_was() -> None:
    text = "Patient John Doe, seen by Dr. Brown on 15.01.2004: no fracture."
    assert cleaned(text, "TextValue", "UT") == "Patient [...], seen by [...] on [...]: no fracture."


def test_values_are_cleaned_one_by_one() -> None:
    assert cleaned("7\\knee\\John Doe", "OtherNames", "LO") == "\\knee\\"


def test_codes_and_terms_keep_words_of_the_trade() -> None:
    """A patient called Chest^Phantom does not take the chest out of the code of the chest."""
    assert cleaned("Chest", "CodeMeaning") == "Chest"
    assert cleaned("CHEST", "BodyPartExamined", "CS") == "CHEST"
    assert cleaned("7", "CodeValue", "SH") == "7"
    assert cleaned("Chest study") == "study"


def test_codes_lose_people() -> None:
    assert cleaned("John Doe", "CodeMeaning") == ""
    assert cleaned("Seen by Dr. Brown", "CodeMeaning") == "Seen by"
    assert cleaned("Unheard-of Words", "CodeMeaning") == "Unheard-of Words"


def test_dates_stay_where_the_policy_keeps_them() -> None:
    cleaner = Cleaner(IDENTIFIERS, policy=Policy(dates="keep"))
    assert cleaner.clean("knee, MRI", "SeriesDescription", "LO")[0] == "knee, MRI"


def test_a_recognizer_is_asked_too() -> None:
    class Knees:
        def find(self, text: str) -> list[Span]:
            start = text.find("knee")
            return [Span(start, start + 4, "model")] if start >= 0 else []

    cleaner = Cleaner(IDENTIFIERS, recognizers=[Knees()])
    assert cleaner.clean("left knee", "SeriesDescription", "LO") == ("left", ["model"])


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("Doe", "JOHN", "Müller", "mueller,", "CT", "knee", "12345678", "AB-12", "34"),
                *("2004-01-15", "15.1.04", "Dr.", "Brown", "山田", "Berlin", "1.2.3.4.5.6", "^"),
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=8,
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(["LO", "UT", "CS"]), st.sampled_from(["", "CodeMeaning"]))
def test_nothing_known_is_left_and_cleaning_again_changes_nothing(
    text: str, vr: str, keyword: str
) -> None:
    once, _ = CLEANER.clean(text, keyword, vr)
    search = Search(IDENTIFIERS.matcher(), Lexicon.load())
    assert search.spans_of_values(once, keyword, vr) == []
    assert CLEANER.clean(once, keyword, vr)[0] == once


def test_the_lexicon_has_words_and_no_people() -> None:
    lexicon = Lexicon.load()
    assert len(lexicon) > 5000
    assert all(word in lexicon for word in ("brain", "thorax", "schadel", "rodilla", "joelho"))
    people = ("smith", "kowalski", "schmidt", "garcia", "silva", "yamada", "williams", "charles")
    assert not [name for name in people if name in lexicon]
