"""What C-FIND and QIDO find: every kind of matching of PS3.4 C.2.2.2, at every level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from isocenter.apps.archive.deletion import delete_series
from isocenter.apps.archive.models import StudySearch
from isocenter.apps.archive.queries import (
    ALL_ATTRIBUTES,
    SEARCHABLE,
    Level,
    Match,
    Question,
    QuestionError,
    Value,
    search,
    stored,
    unsupported,
)
from isocenter.apps.archive.search import engine
from isocenter.core.errors import NotAllowed

from .conftest import CT, SERIES, STUDY, Intake, image

pytestmark = pytest.mark.django_db

NAME, PATIENT_ID, BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
STUDY_DATE, STUDY_TIME, ACCESSION = 0x00080020, 0x00080030, 0x00080050
MODALITIES, MODALITY, DESCRIPTION = 0x00080061, 0x00080060, 0x00081030
SERIES_NUMBER, SERIES_DESCRIPTION, REQUESTS = 0x00200011, 0x0008103E, 0x00400275


def asked(
    level: Level = Level.STUDY, keys: dict[int, str] | None = None, **more: Any
) -> list[Match]:
    return list(search(Question(level, keys or {}, **more)))


def last_parts(matches: list[Match]) -> list[int]:
    return [int(match.study_uid.rpartition(".")[2]) for match in matches]


@pytest.fixture
def archive(intake: Intake) -> Callable[..., None]:
    """Takes in one slice per study: ``archive({"PatientName": …}, …)``, numbered from 1."""

    def take(*studies: dict[str, Any]) -> None:
        for number, values in enumerate(studies, 1):
            intake.take(image(1, study=f"1.2.3.{number}", **values))

    return take


def test_what_came_in_is_found_at_every_level(intake: Intake) -> None:
    intake.take(image(1), image(2), image(1, series=f"{STUDY}.2", Modality="MR", SeriesNumber=2))

    for level, count in zip(Level, (1, 1, 2, 3), strict=True):
        assert len(asked(level, {PATIENT_ID: "ZZSECRETZZ1"})) == count, level
        assert asked(level, {PATIENT_ID: "ZZSECRETZZ2"}) == []


def test_attributes_of_each_level(intake: Intake) -> None:
    item = image(1)
    item.BitsAllocated = 16
    item.PerformedProcedureStepStartDate = "20260103"
    item.TimezoneOffsetFromUTC = "+0100"
    request = type(item)()
    request.ScheduledProcedureStepID = "SPS1"
    request.RequestedProcedureID = "RP1"
    item.RequestAttributesSequence = [request]
    intake.take(item, image(1, series=f"{STUDY}.2", Modality="MR"))

    (study,) = asked(Level.STUDY, {STUDY_UID: STUDY})
    assert study.study_uid == STUDY
    assert study.values[MODALITIES] == ("CT", "MR")
    assert study.values[0x00201206] == (2,)
    assert study.values[0x00201208] == (2,)
    assert study.values[0x00080201] == ("+0100",)
    assert study.values[0x00080056] == ("ONLINE",)
    (series,) = asked(Level.SERIES, {SERIES_UID: SERIES}, returns=frozenset({NAME}))
    assert series.values[REQUESTS] == ({0x00400009: ("SPS1",), 0x00401001: ("RP1",)},)
    assert series.values[0x00400244] == ("20260103",)
    assert series.values[0x00201209] == (1,)
    assert series.values[NAME] == ("ZZSECRETZZ^Name",)
    (instance,) = asked(Level.INSTANCE, {SERIES_UID: SERIES})
    assert instance.sop_uid == f"{SERIES}.1"
    assert instance.values[0x00280100] == (16,)
    assert instance.values[0x00080016] == (CT,)
    assert instance.values[0x00280008] == ()
    (patient,) = asked(Level.PATIENT, {}, returns=ALL_ATTRIBUTES)
    assert patient.values[0x00201200] == (1,)
    assert patient.values[0x00201204] == (2,)
    assert patient.study_uid == ""


NAMES = [
    {"PatientName": "MÜLLER^ANNA^MARIA", "SpecificCharacterSet": "ISO_IR 192"},
    {"PatientName": "Muller^Peter"},
    {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "SpecificCharacterSet": "ISO_IR 192"},
    {"PatientName": "O'Brien^Siobhán", "SpecificCharacterSet": "ISO_IR 192"},
    {"PatientName": "Mull"},
    {"PatientName": ""},
]


NAME_KEYS = [
    ("muller", [1, 2]),
    ("Müller^Anna", [1]),
    ("MULLER^A*", [1]),
    ("MULL*", [1, 2, 5]),
    ("*ller*", [1, 2]),
    ("M?ller^*", [1, 2]),
    ("MULLER^ANNA^^", [1]),
    ("MULLER^^MARIA", [1]),
    ("MULL^", [5]),
    ("MULL^*", [5]),
    ("^Peter", [2]),
    ("山田*", [3]),
    ("山田^太郎", [3]),
    ("やま*", [3]),
    ("Yamada^Tarou=山田^太郎", [3]),
    ("*=山田", [3]),
    ("Yamada=Yamada", []),
    ("*山*", [3]),
    ("obrien", []),
    ("o'brien", [4]),
    ("siobhan", []),
    ("*siobhan*", [4]),
    ("", [1, 2, 3, 4, 5, 6]),
    ("*", [1, 2, 3, 4, 5, 6]),
    ("**", [1, 2, 3, 4, 5, 6]),
    ("?*", [1, 2, 3, 4, 5]),
    ("mull\\o'brien", [4, 5]),
    ("100%", []),
    ("m_ller", []),
]


def test_names(archive: Callable[..., None]) -> None:
    archive(*NAMES)

    for text, numbers in NAME_KEYS:
        assert sorted(last_parts(asked(keys={NAME: text}))) == numbers, text


ODD = [
    {"PatientName": "50%^Anna", "PatientID": "ΑΣΒ1", "StudyDescription": "ᎠᏂ head"},
    {"PatientName": "ᎠᏂ^Ꮳ", "PatientID": "ασβ1", "StudyDescription": "50% done"},
]


@pytest.mark.parametrize(
    ("tag", "key", "numbers"),
    [
        (NAME, "50%", [1]),  # a sign of SQL's
        (NAME, "5*0%", [1]),
        (NAME, "50%*", [1]),
        (NAME, "ᎠᏂ", [2]),  # its small letters are the ones that came later
        (NAME, "ꭰ*", [2]),
        (NAME, "ᎠᏂ^Ꮳ", [2]),
        (PATIENT_ID, "ΑΣ*", [1]),  # a sigma at the end of a word is another small letter
        (PATIENT_ID, "ΑΣ?1", [1]),
        (PATIENT_ID, "ΑΣΒ1", [1]),
        (DESCRIPTION, "ᎠᏂ*", [1]),
        (DESCRIPTION, "50%*", [2]),
    ],
)
def test_signs_and_scripts_with_ways_of_their_own(
    archive: Callable[..., None], tag: int, key: str, numbers: list[int]
) -> None:
    archive(*({**study, "SpecificCharacterSet": "ISO_IR 192"} for study in ODD))

    assert last_parts(asked(keys={tag: key})) == numbers


FUZZY_KEYS = [
    ("anna mull", [1]),
    ("maria anna muller", [1]),
    ("mull", [1, 2, 5]),
    ("brien", [4]),
    ("太郎", [3]),
    ("ann mar pet", []),
    ("ller", []),
    ("p* m*", [2]),
    ("", [1, 2, 3, 4, 5, 6]),
]


def test_fuzzy_names(archive: Callable[..., None]) -> None:
    archive(*NAMES)

    for text, numbers in FUZZY_KEYS:
        assert sorted(last_parts(asked(keys={NAME: text}, fuzzy=True))) == numbers, text


DATES = [
    {"StudyDate": "20250101", "StudyTime": "101112"},
    {"StudyDate": "20250102", "StudyTime": "0800"},
    {"StudyDate": "20250103", "StudyTime": "235959.5"},
    {"StudyDate": "", "StudyTime": ""},
]


DATE_KEYS: list[tuple[dict[int, str], list[int]]] = [
    ({STUDY_DATE: "20250102"}, [2]),
    ({STUDY_DATE: "20250102-"}, [2, 3]),
    ({STUDY_DATE: "-20250102"}, [1, 2]),
    ({STUDY_DATE: "20250101-20250102"}, [1, 2]),
    ({STUDY_DATE: "2025.01.03"}, [3]),
    ({STUDY_DATE: "*"}, [1, 2, 3, 4]),
    ({STUDY_TIME: "10"}, [1]),
    ({STUDY_TIME: "101112"}, [1]),
    ({STUDY_TIME: "08-1011"}, [1, 2]),
    ({STUDY_TIME: "2359-"}, [3]),
    ({STUDY_DATE: "20250101-20250102", STUDY_TIME: "1200-0900"}, [2]),
    ({STUDY_DATE: "20250101-20250103", STUDY_TIME: "1000-2359"}, [1, 2, 3]),
    ({STUDY_DATE: "20250101-", STUDY_TIME: "1200-"}, [2, 3]),
    ({STUDY_DATE: "20250101", STUDY_TIME: "10-11"}, [1]),
]


def test_dates_and_times(archive: Callable[..., None]) -> None:
    archive(*DATES)

    for keys, numbers in DATE_KEYS:
        assert sorted(last_parts(asked(keys=keys))) == numbers, keys


def test_ranges_apart_where_nobody_agreed_on_moments(archive: Callable[..., None]) -> None:
    archive(*DATES)

    keys = {STUDY_DATE: "20250101-20250103", STUDY_TIME: "0900-1200"}
    assert last_parts(asked(keys=keys, combined=False)) == [1]


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (STUDY_DATE, "2025"),
        (STUDY_DATE, "20251301"),
        (STUDY_DATE, "2025*"),
        (STUDY_DATE, "20250102-20250101"),
        (STUDY_DATE, "-"),
        (STUDY_TIME, "25"),
        (STUDY_TIME, "now"),
        (STUDY_UID, "1.2.*"),
        (STUDY_UID, "1.2 3"),
        (0x00080062, "1.2.*"),
        (NAME, "x" * 2000),
        (PATIENT_ID, "\\".join(map(str, range(1001)))),
    ],
)
def test_texts_that_make_no_sense(tag: int, text: str) -> None:
    with pytest.raises(QuestionError) as error:
        asked(keys={tag: text})

    assert f"({tag >> 16:04X},{tag & 0xFFFF:04X})" in str(error.value)
    assert text not in str(error.value)


def test_numbers_lists_and_codes(intake: Intake) -> None:
    intake.take(
        image(1, study="1.2.3.1", Modality="CT", SeriesDescription="Thörax venös",
              SpecificCharacterSet="ISO_IR 192"),
        image(1, study="1.2.3.1", series="1.2.3.1.2", Modality="PT", SeriesNumber=7),
        image(1, study="1.2.3.2", Modality="MR", PatientID="a", AccessionNumber="X1"),
    )  # fmt: skip

    assert last_parts(asked(keys={MODALITIES: "PT"})) == [1]
    assert sorted(last_parts(asked(keys={MODALITIES: "PT\\MR"}))) == [1, 2]
    assert last_parts(asked(keys={MODALITIES: "P*"})) == [1]
    assert asked(keys={MODALITIES: "ct"}) == []
    assert asked(keys={PATIENT_ID: "A"}) == []
    assert last_parts(asked(keys={ACCESSION: "X?"})) == [2]
    assert last_parts(asked(keys={STUDY_UID: "1.2.3.2\\1.2.3.9"})) == [2]
    assert asked(keys={STUDY_UID: "1.2.3.9"}) == []
    assert last_parts(asked(Level.SERIES, {SERIES_NUMBER: "7"})) == [1]
    assert last_parts(asked(Level.SERIES, {SERIES_DESCRIPTION: "THORAX*"})) == [1]
    assert last_parts(asked(Level.SERIES, {SERIES_DESCRIPTION: "*venos"})) == [1]
    assert last_parts(asked(Level.SERIES, {MODALITY: "MR\\PT"})) == [2, 1]
    assert last_parts(asked(Level.INSTANCE, {MODALITY: "MR"})) == [2]


def test_one_item_has_to_match_all_keys_of_its_sequence(intake: Intake) -> None:
    ds = image(1)
    pairs = (("S1", "R1"), ("S2", "R2"))
    ds.RequestAttributesSequence = [type(ds)(), type(ds)()]
    for item, (step, procedure) in zip(ds.RequestAttributesSequence, pairs, strict=True):
        item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    intake.take(ds)

    def found(step: str, procedure: str) -> bool:
        keys = {(REQUESTS, 0x00400009): step, (REQUESTS, 0x00401001): procedure}
        return bool(asked(Level.SERIES, sequence_keys=keys))

    assert found("S1", "R1")
    assert found("S2", "")
    assert found("S*", "R?")
    assert not found("S1", "R2")


def test_who_may_not_see_identities(intake: Intake) -> None:
    intake.take(image(1))

    (match,) = asked(keys={STUDY_UID: STUDY, NAME: "*"}, identified=False, returns=ALL_ATTRIBUTES)
    assert NAME not in match.values
    assert STUDY_DATE not in match.values
    assert "ZZSECRETZZ" not in str(match)
    assert match.values[MODALITIES] == ("CT",)
    for tag in (NAME, PATIENT_ID, STUDY_DATE, ACCESSION, DESCRIPTION):
        with pytest.raises(NotAllowed):
            asked(keys={tag: "19700101"}, identified=False)


def test_limit_and_offset_pass_through_one_order(archive: Callable[..., None]) -> None:
    archive(*({"StudyDate": f"2025010{n % 3 + 1}"} for n in range(9)))

    everything = asked()
    assert len(everything) == 9
    assert [match.values[STUDY_DATE] for match in everything] == sorted(
        (match.values[STUDY_DATE] for match in everything), reverse=True
    )
    for size in (1, 2, 4):
        pages = [asked(limit=size, offset=first) for first in range(0, 9, size)]
        assert [match for page in pages for match in page] == everything
    assert asked(limit=0) == []


def test_patients_are_told_apart_by_id_and_issuer(archive: Callable[..., None]) -> None:
    archive(
        {"PatientID": "1", "IssuerOfPatientID": "A"},
        {"PatientID": "1", "IssuerOfPatientID": "B"},
        {"PatientID": "1", "IssuerOfPatientID": "A"},
        {"PatientID": "", "PatientName": "One"},
        {"PatientID": "", "PatientName": "Two"},
    )

    assert len(asked(Level.PATIENT)) == 4
    assert len(asked(Level.PATIENT, {PATIENT_ID: "1"})) == 2
    assert len(asked(Level.PATIENT, limit=2, offset=1)) == 2


def test_keys_that_a_level_does_not_know_match_everything(intake: Intake) -> None:
    intake.take(image(1))
    question = Question(Level.STUDY, {MODALITY: "MR", 0x00091001: "x"})

    assert unsupported(question) == {MODALITY, 0x00091001}
    assert len(list(search(question))) == 1
    assert unsupported(replace(question, level=Level.SERIES)) == {0x00091001}


def test_search_rows_are_written_when_they_change(
    intake: Intake, django_assert_max_num_queries: Any
) -> None:
    intake.take(image(1))
    before = StudySearch.objects.values_list("pk").extra(select={"x": "xmin::text"}).get()
    intake.take(image(2), image(3))
    assert StudySearch.objects.values_list("pk").extra(select={"x": "xmin::text"}).get() == before
    intake.take(image(1, series=f"{STUDY}.2", Modality="MR"))
    assert last_parts(asked(keys={MODALITIES: "MR"})) == [1]
    delete_series(STUDY, f"{STUDY}.2", actor="test")
    assert asked(keys={MODALITIES: "MR"}) == []


def test_stored_instances_in_their_order(intake: Intake) -> None:
    second = f"{STUDY}.2"
    intake.take(image(2), image(1, series=second, SeriesNumber=0, Modality="MR"), image(1))
    intake.take(image(1, study="1.2.3.1", PatientID="else"))

    found = list(stored(study_uid=STUDY))
    assert [(row.series_uid, row.instance_number) for row in found] == [
        (second, 1), (SERIES, 1), (SERIES, 2),
    ]  # fmt: skip
    assert all(row.path.is_file() and row.path.stat().st_size == row.size for row in found)
    assert found[0].modality == "MR"
    assert [row.sop_uid for row in stored(sop_uids=[f"{SERIES}.2"])] == [f"{SERIES}.2"]
    assert len(list(stored(patient_id="ZZSECRETZZ1"))) == 3
    assert len(list(stored(study_uid="1.2.3.1", patient_id="ZZSECRETZZ1"))) == 0
    assert len(list(stored(series_uids=[second, SERIES]))) == 3
    with pytest.raises(ValueError, match="name"):
        stored()


def test_every_attribute_can_be_asked_for(intake: Intake) -> None:
    intake.take(image(1))

    for level in Level:
        known = SEARCHABLE[level]
        (match,) = asked(level, dict.fromkeys(known, ""), returns=ALL_ATTRIBUTES)
        assert match.values.keys() == known.keys()
        for tag, attribute in known.items():
            value: Value = match.values[tag]
            if value and attribute.column and attribute.vr != "SQ":
                text = "\\".join(map(str, value))
                assert len(asked(level, {tag: text})) == 1, attribute.keyword


def test_a_search_without_end_is_given_up(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    intake.take(image(1))
    monkeypatch.setattr(engine, "MOST_S", 0.05)

    with pytest.raises(QuestionError, match="longer than"):
        engine._in_time("SELECT pg_sleep(20)", [])
    assert len(asked()) == 1
