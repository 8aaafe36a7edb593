"""Keyed values: the same for ever, and nothing that the key does not give away."""

from __future__ import annotations

import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret, is_standard_uid
from isocenter.core.dicom.uids import is_valid_uid
from isocenter.core.errors import ConfigurationError

SECRET = Secret(bytes(range(32)))
OTHER = Secret(bytes(range(1, 33)))
UIDS = st.lists(st.integers(0, 10**9), min_size=2, max_size=6).map(
    lambda arcs: "1.2." + ".".join(map(str, arcs))
)


def test_values_never_change() -> None:
    """A project that began with this release goes on with the next: never adapt these values."""
    jane = PatientKey("HOSPITAL", "12345")
    assert SECRET.uid("1.2.3.4") == "2.25.54105890096295556643477361327874332393"
    assert SECRET.digest("DOE^JANE") == "6b9c9ad73b66e9a9"
    assert SECRET.day_shift(jane) == -290
    assert SECRET.day_shift(jane, whole_weeks=True) == -28
    alias = KeyedPseudonyms(SECRET).alias_for(jane, {})
    assert alias is not None
    assert alias.patient_id == "JJJC1D1R5FEJT7BF"


@given(UIDS)
@settings(max_examples=100)
def test_a_uid_is_valid_stable_and_another_projects_is_another(uid: str) -> None:
    new = SECRET.uid(uid)
    assert is_valid_uid(new)
    assert new.startswith("2.25.")
    assert new == SECRET.uid(uid + "\0") == SECRET.uid(uid + " ")
    assert new != OTHER.uid(uid)
    assert new != uid


def test_a_new_uid_is_a_uuid_of_version_8() -> None:
    number = int(SECRET.uid("1.2.3").removeprefix("2.25."))
    assert number >> 76 & 0xF == 8
    assert number >> 62 & 0x3 == 2


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        "1.2.840.10008.1.4.1.1",  # Talairach frame of reference
        "1.2.840.10008.6.1.1363",  # a context group of a newer edition
        "1.2.840.10008.2.16.4",  # DCM
        "2.16.840.1.113883.6.96",  # SNOMED CT
        "2.16.840.1.113883.6.8",  # UCUM
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image Storage
        "1.2.840.113619.5.2",  # GE private syntax
        "1.3.46.670589.7.8.1618510091",  # Philips X-ray multi-frame
        "1.2.246.352.7.3.10",  # Varian's structure codes
    ],
)
def test_uids_of_classes_syntaxes_and_schemes_stay(uid: str) -> None:
    assert is_standard_uid(uid)
    assert SECRET.uid(uid) == uid


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.20200315.120000",  # an instance under a root that is not its maker's
        "1.2.840.10008.5.1.4.1.1.2.20200315",
        "1.3.12.2.1107.5.2.32.35162.2009",
        "2.16.840.1.113883.6.96.1",
        "1.2.840.100081.1",
    ],
)
def test_instances_under_well_known_roots_do_not(uid: str) -> None:
    assert not is_standard_uid(uid)
    assert SECRET.uid(uid).startswith("2.25.")


def test_where_instances_are_named_only_known_uids_are_of_the_standard() -> None:
    newer = "1.2.840.10008.5.1.4.1.1.9999"
    assert is_standard_uid(newer)
    assert not is_standard_uid(newer, is_instance=True)
    assert SECRET.uid(newer, is_instance=True).startswith("2.25.")
    known = "1.2.840.10008.1.20.1.1"  # Storage Commitment Push Model SOP Instance
    assert SECRET.uid(known, is_instance=True) == known


def test_an_empty_uid_stays_empty() -> None:
    assert SECRET.uid("") == SECRET.uid(" \0") == ""


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=100)
def test_day_shifts_are_in_range_and_the_patients_own(issuer: str, patient: str) -> None:
    key = PatientKey(issuer, patient)
    assert -365 <= SECRET.day_shift(key) <= -1
    weeks = SECRET.day_shift(key, whole_weeks=True)
    assert -364 <= weeks <= -7
    assert weeks % 7 == 0
    assert SECRET.day_shift(key) == SECRET.day_shift(PatientKey(issuer, patient))


def test_all_shifts_are_used() -> None:
    keys = [PatientKey("", str(number)) for number in range(8000)]
    assert {SECRET.day_shift(key) for key in keys} == set(range(-365, 0))
    assert {SECRET.day_shift(key, True) for key in keys} == set(range(-364, 0, 7))


def test_issuer_and_id_do_not_run_together() -> None:
    assert PatientKey("A", "B1").text != PatientKey("AB", "1").text
    assert PatientKey.of(" A ", "B \0") == PatientKey("A", "B")
    assert PatientKey.of("A", None).is_empty


def test_purposes_are_apart() -> None:
    assert SECRET.number("a", "x", 2**64) != SECRET.number("b", "x", 2**64)
    assert SECRET.derive("a").digest("x") != SECRET.derive("b").digest("x")
    assert SECRET.hash_text("x", 16) == SECRET.digest("x")


def test_the_key_is_never_shown_and_can_be_sent_to_a_child() -> None:
    assert bytes(range(32)).hex() not in repr(SECRET)
    assert str(bytes(range(32))) not in repr(SECRET)
    assert pickle.loads(pickle.dumps(SECRET)) == SECRET


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 16"):
        Secret(b"short")


def test_a_created_secret_is_read_back_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    created = Secret.create(path)
    assert Secret.from_file(path) == created
    assert len(created.key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="never written over"):
        Secret.create(path)


@pytest.mark.parametrize("content", ["", "hello", "abc", "00" * 16 + "\n" + "00" * 16, "é"])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="hexadecimal"):
        Secret.from_file(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        Secret.from_file(tmp_path / "none")
