"""The search beside a matcher that does what PS3.4 C.2.2.2 says, row by row, in the plainest way;
and names of every character set, found by what their files say."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.archive.models import Instance, Series, Study
from isocenter.apps.archive.queries import Level, Question, search
from isocenter.apps.archive.search import engine, search_rows
from isocenter.core.dicom.folding import fold

from .conftest import CT, Intake, encoded

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

WORDS = [
    "Ann",
    "anna",
    "Müller",
    "MULLER",
    "O'Brien",
    "de la Cruz",
    "Ng",
    "山田",
    "Łuk",
    "a",
    "50%",
    "ΑΣ",
    "ᎠᏂ",
    "",
]
CODES = ["A1", "a1", "A12", "B_1", "50%", "ΑΣΒ", "x\\y"[:1], "A 1", ""]
DAYS = ["20250101", "20250102", "20241231", "2025", ""]
TIMES = ["101112", "10", "1011", "101112.5", "2359", "", "soon"]
MODALITIES = ["CT", "MR", "PT", ""]

MANY_WORDS = "Müller^Ann" + " de la Cruz" * 10  # too many for pairs
names = st.one_of(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=3).map("^".join), max_size=3).map("=".join),
    st.sampled_from([MANY_WORDS, "Müller^Ann"]),
)
rows = st.fixed_dictionaries(
    {
        "patient_name": names,
        "patient_id": st.sampled_from(CODES),
        "accession_number": st.sampled_from(CODES),
        "study_date": st.sampled_from(DAYS),
        "study_time": st.sampled_from(TIMES),
        "study_description": st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
        "modality": st.sampled_from(MODALITIES),
        "series_number": st.sampled_from([1, 2, None]),
    }
)


def wild(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts with wild cards put in anywhere."""

    @st.composite
    def made(draw: st.DrawFn) -> str:
        text = draw(texts)
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(text)))
            keep = draw(st.integers(at, len(text)))
            text = text[:at] + draw(st.sampled_from("*?")) + text[keep:]
        return text

    return made()


spans = st.sampled_from(["20250101", "20250101-", "-20250101", "20241231-20250101", ""])
moments = st.sampled_from(["10", "1011", "101112", "10-11", "-1011", "101113-", ""])
questions = st.fixed_dictionaries(
    {},
    optional={
        0x00100010: wild(names),
        0x00100020: wild(st.sampled_from(CODES)),
        0x00080050: wild(st.sampled_from(CODES)),
        0x00080020: spans,
        0x00080030: moments,
        0x00081030: wild(st.lists(st.sampled_from(WORDS), max_size=2).map(" ".join)),
        0x00080061: st.sampled_from(["CT", "CT\\MR", "P*", "ct", ""]),
        0x00080060: st.sampled_from(["CT", "MR\\PT", "?T", ""]),
        0x00200011: st.sampled_from(["1", "1\\2", "3", ""]),
    },
)


def plain(text: str) -> str:
    """Without case and accents, the plainest way."""
    apart = unicodedata.normalize("NFKD", text.casefold().replace("ł", "l"))
    return " ".join("".join(c for c in apart if not unicodedata.combining(c)).split())


def like(text: str, key: str) -> bool:
    signs = {"*": ".*", "?": "."}
    return bool(re.fullmatch("".join(signs.get(c) or re.escape(c) for c in key), text, re.DOTALL))


def group(text: str) -> str:
    return re.sub(r"\s*\^\s*", "^", plain(text)).rstrip("^").strip()


def group_matches(stored: str, key: str) -> bool:
    key = re.sub(r"\s*\^\s*", "^", key.strip())
    key = re.sub(r"(\^\**)+$", "", key)
    key = "^".join(part or "*" for part in key.split("^")) if key else "*"
    # Folding must not eat the spaces beside a wild card.
    parts = [part if part in "*?" else pieces(part) for part in re.split(r"([*?])", key)]
    key = "".join(parts)
    return like(group(stored), key.strip()) or like(group(stored), key.strip() + "^*")


def pieces(part: str) -> str:
    before = " " if part[:1].isspace() else ""
    after = " " if part[-1:].isspace() and part.strip() else ""
    return before + plain(part) + after


def name_matches(stored: str, key: str) -> bool:
    if not key.replace("*", "").strip():
        return True
    groups = [*stored.split("=")[:3], "", "", ""][:3]
    keys = key.split("=")[:3]
    if len(keys) == 1:
        return any(group_matches(one, key) for one in groups)
    return all(group_matches(one, asked) for one, asked in zip(groups, keys, strict=False))


def text_matches(stored: str, key: str, *, folded: bool) -> bool:
    if not key.replace("*", "").strip():
        return True
    key = key.strip()
    if folded:
        split = re.split(r"([*?])", key)
        key = "".join(part if part in "*?" else pieces(part) for part in split)
        return like(plain(stored), key.strip() if "*" not in key and "?" not in key else key)
    return like(stored.strip(), key)


def day_matches(stored: str, key: str) -> bool:
    if not key:
        return True
    first, dash, last = key.partition("-")
    if len(stored) != 8:
        return False
    return (first <= stored if first else True) and (
        stored <= last if last else True if dash else stored == first
    )


def time_matches(stored: str, key: str) -> bool:
    if not key:
        return True
    digits = stored.replace(".", "")
    if not digits.isdigit():
        return False
    digits = digits.ljust(12, "0")
    first, dash, last = key.partition("-")
    end = last if dash else first
    return digits >= first.ljust(12, "0") and (not end or digits <= end.ljust(12, "9"))


def code_matches(stored: str, key: str) -> bool:
    return not key or any(like(stored, one) for one in key.split("\\"))


def moment_matches(row: dict[str, Any], days: str, times: str) -> bool:
    if "-" not in days or "-" not in times:
        return day_matches(row["study_date"], days) and time_matches(row["study_time"], times)
    if not day_matches(row["study_date"], days):
        return False
    (day, _, last_day), (time, _, last_time) = days.partition("-"), times.partition("-")
    stored = row["study_time"].replace(".", "")
    stored = stored.ljust(12, "0") if stored.isdigit() else ""
    now = row["study_date"], stored
    if day and time and now < (day, time.ljust(12, "0")):
        return False
    return not (last_day and last_time and now > (last_day, last_time.ljust(12, "9")))


def matches(row: dict[str, Any], keys: dict[int, str], level: Level) -> bool:
    of_study = (
        name_matches(row["patient_name"], keys.get(0x00100010, ""))
        and text_matches(row["patient_id"], keys.get(0x00100020, ""), folded=False)
        and text_matches(row["accession_number"], keys.get(0x00080050, ""), folded=False)
        and text_matches(row["study_description"], keys.get(0x00081030, ""), folded=True)
        and moment_matches(row, keys.get(0x00080020, ""), keys.get(0x00080030, ""))
        and code_matches(row["modality"], keys.get(0x00080061, ""))
    )
    if level is Level.STUDY or not of_study:
        return of_study
    number = keys.get(0x00200011, "")
    return code_matches(row["modality"], keys.get(0x00080060, "")) and (
        not number or str(row["series_number"]) in number.split("\\")
    )


def put(found: list[dict[str, Any]]) -> None:
    for number, row in enumerate(found):
        of_series = {name: row[name] for name in ("modality", "series_number")}
        of_study = {name: value for name, value in row.items() if name not in of_series}
        study = Study.objects.create(
            study_uid=f"1.2.{number}", first_received_at=NOW, last_received_at=NOW, **of_study
        )
        series = Series.objects.create(
            study=study, series_uid=f"1.2.{number}.1", instance_count=1, **of_series
        )
        Instance.objects.create(
            study=study, series=series, sop_uid=f"1.2.{number}.1.1", sop_class_uid=CT,
            size=1, received_at=NOW,
        )  # fmt: skip
    search_rows.refresh(list(Study.objects.all()), None)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(rows, min_size=1, max_size=8),
    st.lists(questions, min_size=1, max_size=8),
    st.booleans(),
)
def test_the_search_finds_what_the_plain_matcher_finds(
    db: None, found: list[dict[str, Any]], asked: list[dict[int, str]], narrow: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch, transaction.atomic():
        if narrow:  # so that every way of the engine is gone with a few rows
            patch.setattr(engine, "STEPS", (2, 3, 4))
            patch.setattr(engine, "PAGE", 2)
            patch.setattr(engine, "MOST", 3)
            patch.setattr(engine, "STUDIES_AT_ONCE", (1, 2))
            patch.setattr(engine, "ORDERED_AT_ONCE", 2)
        put(found)
        for keys in asked:
            for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
                expected = {
                    f"1.2.{number}"
                    for number, row in enumerate(found)
                    if matches(row, keys, Level.SERIES if level is Level.INSTANCE else level)
                }
                answers = [match.study_uid for match in search(Question(level, keys))]
                assert len(answers) == len(set(answers))
                assert set(answers) == expected, (level, keys)
        transaction.set_rollback(True)


@given(st.text(max_size=20))
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper().lower()) == fold(text.lower())


def test_names_of_every_character_set(intake: Intake, shared_data: Path) -> None:
    """By each component group, in full, by its beginning, and without regard to case."""
    paths = sorted((shared_data / "charsets").glob("chr*.dcm"))
    asked = 0
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        if "PatientName" not in dataset:
            continue
        name = dataset.PatientName
        dataset.StudyInstanceUID = f"1.2.9.{number}"
        dataset.SeriesInstanceUID = f"1.2.9.{number}.1"
        dataset.SOPInstanceUID = f"1.2.9.{number}.1.1"
        dataset.SOPClassUID = CT
        if "PixelData" in dataset:
            del dataset.PixelData
        intake.take(encoded(dataset))
        texts = [str(name), *(part for part in str(name).split("=") if part)]
        texts += [part[: len(part) // 2 + 1] + "*" for part in texts[1:]]
        texts += [part.upper() for part in texts[1:]]
        for text in texts:
            keys = {0x00100010: text, 0x0020000D: dataset.StudyInstanceUID}
            assert len(list(search(Question(Level.STUDY, keys)))) == 1, (path.name, text)
            alone = [m.study_uid for m in search(Question(Level.STUDY, {0x00100010: text}))]
            assert dataset.StudyInstanceUID in alone, (path.name, text)
            asked += 1
    assert asked > 30
