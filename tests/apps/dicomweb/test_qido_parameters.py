"""What stands behind the question mark of a search."""

from __future__ import annotations

import pytest

from isocenter.apps.dicomweb.errors import BadRequest
from isocenter.apps.dicomweb.qido_parameters import Asked, read_parameters

NAME, PATIENT_ID, STUDY_UID, MODALITIES = 0x00100010, 0x00100020, 0x0020000D, 0x00080061
REQUEST, STEP = 0x00400275, 0x00400009
SEARCHABLE = {NAME, PATIENT_ID, STUDY_UID, MODALITIES, REQUEST}


def asked(*items: tuple[str, str]) -> Asked:
    return read_parameters(items, SEARCHABLE, {REQUEST: {STEP}})


def test_keywords_and_tags_are_the_same_key() -> None:
    for name in ("PatientName", "00100010"):
        assert asked((name, "DOE*")).keys == {NAME: "DOE*"}


def test_keys_inside_a_sequence_are_read_in_either_form() -> None:
    for name in ("RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009"):
        assert asked((name, "S1")).sequence_keys == {(REQUEST, STEP): "S1"}


def test_lists_of_uids_come_with_commas_backslashes_or_repeated() -> None:
    for items in (
        [("StudyInstanceUID", "1.2,3.4")],
        [("StudyInstanceUID", "1.2\\3.4")],
        [("StudyInstanceUID", "1.2"), ("StudyInstanceUID", "3.4")],
    ):
        assert asked(*items).keys == {STUDY_UID: "1.2\\3.4"}


def test_a_comma_in_a_name_is_a_part_of_it() -> None:
    assert asked(("PatientName", "Doe, J")).keys == {NAME: "Doe, J"}


def test_an_empty_value_or_a_star_matches_all() -> None:
    assert asked(("PatientID", ""), ("PatientName", "*")).keys == {PATIENT_ID: "", NAME: ""}


def test_include_fields_come_several_at_once_repeated_or_all() -> None:
    found = asked(("includefield", "00081030,PatientSex"), ("includefield", "all"))
    assert (found.fields, found.all_fields) == ({0x00081030, 0x00100040}, True)


def test_options_are_read() -> None:
    found = asked(("limit", "10"), ("offset", "5"), ("fuzzymatching", "true"))
    assert (found.limit, found.offset, found.fuzzy) == (10, 5, True)


def test_names_for_the_audit_have_no_values() -> None:
    found = asked(
        ("PatientName", "DOE"),
        ("PatientID", ""),
        ("RequestAttributesSequence.ScheduledProcedureStepID", "S1"),
    )
    assert found.key_names == [
        "PatientName",
        "RequestAttributesSequence.ScheduledProcedureStepID",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PatientNam", "x", "neither a keyword of DICOM nor a tag"),
        ("patientname", "x", "neither a keyword of DICOM nor a tag"),
        ("0010001", "x", "neither a keyword of DICOM nor a tag"),
        ("KVP", "120", "KVP cannot be searched at this level"),
        ("00091001", "x", "00091001 cannot be searched at this level"),
        ("limit", "-1", "limit is a whole number"),
        ("limit", "ten", "limit is a whole number"),
        ("limit", "9" * 30, "limit is a whole number"),
        ("offset", "1e3", "offset is a whole number"),
        ("offset", "²", "offset is a whole number"),
        ("fuzzymatching", "yes", "fuzzymatching is true or false"),
        ("includefield", "Nonsense", "includefield “Nonsense” is neither"),
        ("includefield", "7FE00010", "a search gives no pixel data"),
        ("RequestAttributesSequence.PatientID", "x", "cannot be searched at this level"),
        ("A.B.C", "x", "goes deeper than one sequence"),
        ("PatientName", "x" * 5000, "the value of PatientName is too long"),
        ("StudyInstanceUID", "1.2,,3", "has an empty value in its list"),
        ("<script>alert(1)</script>", "x", "neither a keyword"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        asked((name, value))


def test_one_key_under_two_names_is_refused() -> None:
    with pytest.raises(BadRequest, match="by keyword and by tag"):
        asked(("PatientID", "1"), ("00100020", "2"))


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(BadRequest, match="at most 64 parameters"):
        asked(*[("includefield", "PatientID")] * 65)


@pytest.mark.parametrize("name", ["limit", "offset", "fuzzymatching"])
def test_what_has_one_value_comes_once(name: str) -> None:
    value = "true" if name == "fuzzymatching" else "5"
    with pytest.raises(BadRequest, match=f"{name} comes once"):
        asked((name, value), (name.upper(), value))
    assert asked(("includefield", "PatientID"), ("includefield", "PatientName")).fields
