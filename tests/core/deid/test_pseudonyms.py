"""One patient, one pseudonym; nobody shares one."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.pseudonyms.csv_store import CsvStore
from isocenter.core.deid.pseudonyms.files import format_csv, parse_csv, read_netrt, write_csv
from isocenter.core.deid.pseudonyms.issuing import (
    GivenPseudonyms,
    KeyedPseudonyms,
    MemoryStore,
    PatientKey,
    PatternPseudonyms,
    Pseudonym,
    PseudonymEntry,
    study_key,
)
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.errors import ConfigurationError

SECRET = Secret(bytes(32))
ANNA, BERT = PatientKey("", "A1"), PatientKey("", "B2")
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@given(st.sets(IDS, min_size=2, max_size=20))
@settings(max_examples=30)
def test_keyed_pseudonyms_are_one_to_one_and_say_nothing(ids: set[str]) -> None:
    pseudonyms = KeyedPseudonyms(SECRET, prefix="P-")
    keys = {PatientKey.of("", text) for text in ids} - {PatientKey("", "")}
    given_ = [pseudonyms.alias_for(key, {}) for key in keys]
    again = [KeyedPseudonyms(SECRET, prefix="P-").alias_for(key, {}) for key in keys]
    assert given_ == again
    assert len({alias.patient_id for alias in given_ if alias}) == len(keys)
    assert all(alias and len(alias.patient_id) == 18 for alias in given_)


def test_nobody_gets_no_pseudonym() -> None:
    nobody = PatientKey("HOSPITAL", "")
    assert KeyedPseudonyms(SECRET).alias_for(nobody, {}) is None
    assert PatternPseudonyms("{counter}", "", MemoryStore(), SECRET).alias_for(nobody, {}) is None
    assert GivenPseudonyms(MemoryStore(), SECRET).alias_for(nobody, {}) is None


def test_ages_are_kept_where_the_project_says_so() -> None:
    kept = KeyedPseudonyms(SECRET, keep_ages=True, whole_weeks=True).alias_for(ANNA, {})
    assert kept is not None
    assert kept.birth_date_rule == "shift"
    assert kept.day_shift % 7 == 0
    plain = KeyedPseudonyms(SECRET).alias_for(ANNA, {})
    assert plain is not None
    assert plain.birth_date_rule == "empty"
    assert plain.day_shift == SECRET.day_shift(ANNA)


def test_a_pattern_counts_patients_not_studies() -> None:
    pseudonyms = PatternPseudonyms("{site}_{counter:04}", "WFU", MemoryStore(), SECRET)
    ids = [pseudonyms.alias_for(key, {}) for key in (ANNA, BERT, ANNA)]
    assert [alias.patient_id for alias in ids if alias] == ["WFU_0001", "WFU_0002", "WFU_0001"]


def test_a_date_in_a_pattern_is_moved_as_all_dates_are() -> None:
    pattern = "{site}_{counter:04}_{StudyDate}"
    pseudonyms = PatternPseudonyms(pattern, "S", MemoryStore(), SECRET)
    alias = pseudonyms.alias_for(ANNA, {"StudyDate": "20200301"})
    assert alias is not None
    assert "20200301" not in alias.patient_id
    assert pseudonyms.alias_for(ANNA, {"StudyDate": "20210301"}) == alias
    assert pseudonyms.alias_for(BERT, {}) is None  # a pattern wants a date, and there is none
    kept = PatternPseudonyms(pattern, "S", MemoryStore(), SECRET, keep_dates=True)
    assert kept.alias_for(ANNA, {"StudyDate": "20200301"}).patient_id == "S_0001_20200301"  # type: ignore[union-attr]


def test_a_pattern_goes_on_where_a_list_ends() -> None:
    store = MemoryStore([PseudonymEntry(ANNA, Pseudonym("S_0007", "S_0007"))])
    pseudonyms = PatternPseudonyms("{site}_{counter:04}", "S", store, SECRET)
    assert pseudonyms.alias_for(BERT, {}).patient_id == "S_0008"  # type: ignore[union-attr]
    assert pseudonyms.alias_for(ANNA, {}).patient_id == "S_0007"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "pattern", ["{site}", "{counter", "{PatientName}_{counter}", "{site:5}_{counter}", "{}",
                "{counter!r}", "{counter:x9q}", "{counter:0100}", "a\\{counter}"],
)  # fmt: skip
def test_a_pattern_that_cannot_be_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="pattern"):
        PatternPseudonyms(pattern, "S", MemoryStore(), SECRET)


def netrt_file(tmp_path: Path, *patients: tuple[str, str, str]) -> Path:
    content = {
        hashlib.sha256(f"{patient}|{name}".encode()).hexdigest()[:16]: {
            "anonymized_id": pseudonym, "first_seen": "2024-01-01T00:00:00", "study_count": 1,
        }
        for patient, name, pseudonym in patients
    }  # fmt: skip
    path = tmp_path / "pid_mapping.json"
    path.write_text(json.dumps(content))
    return path


def test_netrts_numbers_go_on(tmp_path: Path) -> None:
    store = read_netrt(netrt_file(tmp_path, ("A1", "DOE^ANNA", "WFU_0041_20240101")))
    pattern = "{site}_{counter:04}_{StudyDate}"
    pseudonyms = PatternPseudonyms(pattern, "WFU", store, SECRET)
    known = pseudonyms.alias_for(ANNA, {"PatientName": "DOE^ANNA", "StudyDate": "20250101"})
    assert known is not None
    assert known.patient_id == "WFU_0041_20240101"
    new = pseudonyms.alias_for(BERT, {"PatientName": "DOE^BERT", "StudyDate": "20250101"})
    assert new is not None
    assert new.patient_id.startswith("WFU_0042_")
    assert pseudonyms.alias_for(ANNA, {"PatientName": "DOE^ANNA M"}) == known


@pytest.mark.parametrize("content", ["[]", "{", '{"x": {"anonymized_id": "a"}}',
    '{"0123456789abcdef": "a"}', '{"0123456789abcdef": {"anonymized_id": ""}}'])  # fmt: skip
def test_what_is_no_pid_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"x\.json"):
        read_netrt(path)


def test_two_hashes_with_one_pseudonym_are_refused(tmp_path: Path) -> None:
    path = netrt_file(tmp_path, ("A1", "A", "S_1"), ("B2", "B", "S_1"))
    with pytest.raises(ConfigurationError, match="entry 2: two patients"):
        read_netrt(path)


def test_a_list_gives_pseudonyms_names_and_shifts(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(
        "\ufeffPatient ID;Issuer;Pseudonym;Pseudonym Name;Day Shift\n"
        "A1;H;S-1;One^S;-30\n\nB2;;S-2;;\n",
        encoding="utf-8",
    )
    pseudonyms = GivenPseudonyms.from_csv(path, SECRET)
    anna = pseudonyms.alias_for(PatientKey("H", "A1"), {})
    assert anna is not None
    assert (anna.patient_id, anna.patient_name, anna.day_shift) == ("S-1", "One^S", -30)
    bert = pseudonyms.alias_for(BERT, {})
    assert bert is not None
    assert (bert.patient_id, bert.patient_name) == ("S-2", "S-2")
    assert bert.day_shift == SECRET.day_shift(BERT)
    assert pseudonyms.alias_for(ANNA, {}) is None  # the list has A1 of issuer H only
    rest = GivenPseudonyms.from_csv(path, SECRET, otherwise=KeyedPseudonyms(SECRET))
    assert rest.alias_for(ANNA, {}) == KeyedPseudonyms(SECRET).alias_for(ANNA, {})


def test_a_line_without_issuer_is_one_patients() -> None:
    entries = parse_csv("PatientID,Pseudonym\nA1,S-1\n")
    pseudonyms = GivenPseudonyms(MemoryStore(entries), SECRET)
    first = pseudonyms.alias_for(PatientKey("H", "A1"), {})
    assert first is not None
    assert pseudonyms.alias_for(PatientKey("H", "A1"), {}) == first
    with pytest.raises(ConfigurationError, match="two issuers"):
        pseudonyms.alias_for(PatientKey("G", "A1"), {})


def test_a_study_without_patient_id_can_be_given_one() -> None:
    text = "PatientID,StudyInstanceUID,Pseudonym\n,1.2.3,S-1\n,1.2.4,S-1\nA1,,S-2\n"
    pseudonyms = GivenPseudonyms(MemoryStore(parse_csv(text)), SECRET)
    nobody = PatientKey("", "")
    first = pseudonyms.alias_for(nobody, {"StudyInstanceUID": "1.2.3\0"})
    assert first is not None
    assert first.patient_id == "S-1"
    assert pseudonyms.alias_for(nobody, {"StudyInstanceUID": "1.2.4"}) == first
    assert pseudonyms.alias_for(nobody, {"StudyInstanceUID": "1.2.5"}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 has to name"),
        ("PatientID\nA1", "line 1 has to name"),
        ("PatientID,Alias\nA1,B", "column 2 is not known"),
        ("PatientID,PatientID,Pseudonym", "column 2 stands twice"),
        ("PatientID,Pseudonym\nA1", "line 2: 1 cells, but there are 2"),
        ("PatientID,Pseudonym\nA1,S\nB2,S", "line 3: line 2 has this pseudonym"),
        ("PatientID,Pseudonym\nA1,S\nA1,T", "line 3: the patient of line 2 again"),
        ("PatientID,Pseudonym\n,S", "line 2: PatientID is empty"),
        ("PatientID,Pseudonym\nA1,", "line 2: Pseudonym: the pseudonym is empty"),
        ("PatientID,Pseudonym\nA1," + 65 * "x", "at most 64"),
        ("PatientID,Pseudonym\nA1,a\\b", "backslash"),
        ("PatientID,Pseudonym\nA1,A1", "line 2: the pseudonym is the Patient ID of line 2"),
        ("PatientID,Pseudonym\nA1,B2\nB2,C3", "line 2: the pseudonym is the Patient ID of line 3"),
        ("PatientID,Pseudonym,DayShift\nA1,S,0", "DayShift"),
        ("PatientID,Pseudonym,DayShift\nA1,S,1.5", "DayShift"),
        ("PatientID,StudyInstanceUID,Pseudonym\n,x,S", "no UID"),
        ('PatientID,Pseudonym\n"A1,S', "line"),
    ],
)
def test_every_mistake_in_a_list_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_csv(text, "map.csv")
    assert message in str(caught.value)
    assert "map.csv" in str(caught.value)


def test_messages_have_no_value_in_them() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_csv("PatientID,Pseudonym\nSECRETID,SAME\nOTHERID,SAME\nSECRETID,MORE\n")
    assert not any(word in str(caught.value) for word in ("SECRETID", "OTHERID", "SAME", "MORE"))


def test_the_same_line_twice_is_no_mistake() -> None:
    assert len(parse_csv("PatientID,Pseudonym\nA1,S\nA1,S\n")) == 1


def test_a_file_that_is_not_utf8_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_bytes("PatientID,Pseudonym\nMÜLLER,S\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="CSV UTF-8"):
        GivenPseudonyms.from_csv(path, SECRET)


@given(st.lists(st.tuples(IDS, IDS), max_size=10))
@settings(max_examples=50)
def test_what_is_written_is_read_back(patients: list[tuple[str, str]]) -> None:
    store = MemoryStore()
    for number, (issuer, patient) in enumerate(patients):
        key = PatientKey.of(issuer, patient)
        if not key.is_empty and store.find(key) is None:
            days = -number if number % 2 else None
            store.add(PseudonymEntry(key, Pseudonym(f"psn {number}", "N^x"), days))
    store.add(PseudonymEntry(study_key("1.2.3"), Pseudonym("psn s", "psn s")))
    assert parse_csv(format_csv(store.entries)) == store.entries


def test_a_written_list_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_csv([PseudonymEntry(ANNA, Pseudonym("S", "S"))], path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="not written over"):
        write_csv([], path)


def test_a_store_refuses_what_is_not_one_to_one() -> None:
    store = MemoryStore([PseudonymEntry(ANNA, Pseudonym("S", "S"))])
    with pytest.raises(ConfigurationError, match="two patients"):
        store.add(PseudonymEntry(BERT, Pseudonym("S", "S")))
    with pytest.raises(ConfigurationError, match="two pseudonyms"):
        store.add(PseudonymEntry(ANNA, Pseudonym("T", "T")))


def test_numbers_are_on_the_disk_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    with CsvStore(path) as store:
        pseudonyms = PatternPseudonyms("{site}_{counter:04}", "S", store, SECRET)
        for key in (ANNA, BERT, ANNA):
            assert pseudonyms.alias_for(key, {}) is not None
            assert parse_csv(path.read_text()) == store.entries
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(ConfigurationError, match="another run"):
            CsvStore(path)
    with CsvStore(path) as store:
        pseudonyms = PatternPseudonyms("{site}_{counter:04}", "S", store, SECRET)
        carl = pseudonyms.alias_for(PatientKey("", "C3"), {})
        assert carl is not None
        assert carl.patient_id == "S_0003"
        assert pseudonyms.alias_for(BERT, {}).patient_id == "S_0002"  # type: ignore[union-attr]
    assert len(parse_csv(path.read_text())) == 3


def test_a_patient_taken_over_from_netrt_stays_so(tmp_path: Path) -> None:
    legacy = read_netrt(netrt_file(tmp_path, ("A1", "DOE^ANNA", "S_0007_20240101")))
    for _ in range(2):
        with CsvStore(tmp_path / "map.csv", legacy.legacy_entries) as store:
            pseudonyms = PatternPseudonyms("{site}_{counter:04}", "S", store, SECRET)
            anna = pseudonyms.alias_for(ANNA, {"PatientName": "DOE^ANNA"})
            assert anna is not None
            assert anna.patient_id == "S_0007_20240101"
            assert pseudonyms.alias_for(BERT, {}) is not None
    assert len(parse_csv((tmp_path / "map.csv").read_text())) == 2


@pytest.mark.parametrize(
    "content", [b"PatientID,Pseudonym\nA1,S\n", b"\xff", b"x", b"PatientID,IssuerOfPatientID,"
                b"StudyInstanceUID,Pseudonym,PseudonymName,DayShift\nA1,,,S_0001"],
)  # fmt: skip
def test_a_file_that_cannot_go_on_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "map.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"map\.csv"):
        CsvStore(path)
    assert path.read_bytes() == content
    with pytest.raises(ConfigurationError):
        CsvStore(path)  # it was let go


def test_a_last_line_without_its_end_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(format_csv([PseudonymEntry(ANNA, Pseudonym("S", "S"))]).rstrip("\r\n"))
    with CsvStore(path) as store:
        store.add(PseudonymEntry(BERT, Pseudonym("T", "T")))
    assert [entry.key for entry in parse_csv(path.read_text())] == [ANNA, BERT]


def test_what_cannot_be_written_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with CsvStore(tmp_path / "map.csv") as store:
        pseudonyms = PatternPseudonyms("{site}_{counter:04}", "S", store, SECRET)
        with monkeypatch.context() as broken:
            broken.setattr("os.write", full)
            with pytest.raises(ConfigurationError, match="No space left"):
                pseudonyms.alias_for(ANNA, {})
        assert store.find(ANNA) is None
        assert pseudonyms.alias_for(BERT, {}).patient_id == "S_0001"  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="closed"):
        pseudonyms.alias_for(ANNA, {})
