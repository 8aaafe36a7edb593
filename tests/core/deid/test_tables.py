"""The tables and the decisions made from them."""

from __future__ import annotations

import pickle
from importlib import import_module
from types import ModuleType

import pytest
from pydicom.datadict import DicomDictionary, tag_for_keyword

from isocenter.core.deid.dataset.private import decide_private
from isocenter.core.deid.explanations import explained
from isocenter.core.deid.policy import DEFAULT_POLICY, Option, Policy, PrivateKeep
from isocenter.core.deid.profile import Choices, decide, explain
from isocenter.core.deid.standard.actions import Action
from isocenter.core.deid.standard.iods import attribute_type
from isocenter.core.deid.standard.keep_list import keep_list
from isocenter.core.deid.standard.table import Table
from isocenter.core.errors import ConfigurationError

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
#: Rows of Table E.1-1 read from the standard by eye.
ROWS = {
    "AccessionNumber": ("Z", {}),
    "PatientName": ("Z", {}),
    "PatientID": ("Z/D", {}),
    "PatientBirthDate": ("Z", {}),
    "PatientAge": ("X", {Option.RETAIN_PATIENT_CHARACTERISTICS: "K"}),
    "Allergies": (
        "X",
        {Option.RETAIN_PATIENT_CHARACTERISTICS: "C", Option.CLEAN_DESCRIPTORS: "C"},
    ),
    "ContentDate": ("Z/D", {Option.RETAIN_FULL_DATES: "K", Option.RETAIN_MODIFIED_DATES: "C"}),
    "StudyTime": ("Z", {Option.RETAIN_FULL_DATES: "K", Option.RETAIN_MODIFIED_DATES: "C"}),
    "DeviceSerialNumber": ("X/Z/D", {Option.RETAIN_DEVICE_IDENTITY: "K"}),
    "DeviceUID": ("U", {Option.RETAIN_UIDS: "K", Option.RETAIN_DEVICE_IDENTITY: "K"}),
    "InstitutionName": ("X/Z/D", {Option.RETAIN_INSTITUTION_IDENTITY: "K"}),
    "ContentSequence": ("D", {Option.CLEAN_STRUCTURED_CONTENT: "C"}),
    "GraphicAnnotationSequence": ("D", {Option.CLEAN_GRAPHICS: "C"}),
    "SourceImageSequence": ("X/Z/U*", {Option.RETAIN_UIDS: "K"}),
    "SOPInstanceUID": ("U", {Option.RETAIN_UIDS: "K"}),
    "SeriesDescription": ("X", {Option.CLEAN_DESCRIPTORS: "C"}),
}


@pytest.mark.parametrize("keyword", sorted(ROWS))
def test_rows_read_by_eye(keyword: str) -> None:
    entry = Table.load().entry(int(tag_for_keyword(keyword) or 0))
    assert entry is not None
    assert (entry.basic, dict(entry.options)) == ROWS[keyword]


def test_the_table_is_whole() -> None:
    table = Table.load()
    assert table.edition == "2026c"
    assert len(table.attributes) > 650
    for tag in (0x50001234, 0x50FE3000):
        assert table.entry(tag).basic == "X"  # type: ignore[union-attr]
    assert table.entry(0x60023000).keyword == "OverlayData"  # type: ignore[union-attr]
    assert table.entry(0x60020010) is None
    assert table.entry(0x50011234) is None


def peers_table() -> ModuleType:
    return import_module("dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c")


def test_the_codes_are_those_of_dicom_anonymizer() -> None:
    peer = peers_table()
    names = {"D": "D_TAGS", "Z": "Z_TAGS", "X": "X_TAGS", "U": "U_TAGS", "Z/D": "Z_D_TAGS"}
    names |= {"X/Z": "X_Z_TAGS", "X/D": "X_D_TAGS", "X/Z/D": "X_Z_D_TAGS"}
    for code, name in names.items():
        for tag in getattr(peer, name):
            if len(tag) == 2:
                entry = Table.load().entry(tag[0] << 16 | tag[1])
                assert entry is not None
                assert entry.basic == code


def test_what_can_carry_identity_is_reviewed() -> None:
    """A newer dictionary has new attributes: somebody has to look at them."""
    can = {"PN", "SH", "LO", "ST", "LT", "UT", "UC", "UR", "UI", "OB", "AE", "UN", "OB or OW"}
    table, listed = Table.load(), keep_list()
    missing = [
        entry[4]
        for tag, entry in DicomDictionary.items()
        if entry[0] in can
        and entry[4]
        and tag >> 16 not in (0, 2, 4)
        and table.entry(tag) is None
        and tag not in listed
    ]
    assert missing == []
    assert [tag for tag in listed if table.entry(tag) is not None] == []


def test_attribute_types() -> None:
    def kind(sop_class: str, *keywords: str) -> str | None:
        return attribute_type(sop_class, tuple(int(tag_for_keyword(k) or 0) for k in keywords))

    assert kind(CT, "PatientName") == "2"
    assert kind(CT, "SOPInstanceUID") == "1"
    assert kind(CT, "DeviceSerialNumber") == "3"
    assert kind(ENHANCED_MR, "DeviceSerialNumber") == "1"
    assert kind("1.2.3", "DeviceSerialNumber") is None
    assert kind("1.2.3", "ReferencedImageSequence", "ReferencedSOPInstanceUID") == "1"


def action(sop_class: str, *keywords: str, policy: Policy = DEFAULT_POLICY, vr: str = "") -> Action:
    path = tuple(int(tag_for_keyword(keyword) or 0) for keyword in keywords)
    return decide(policy, sop_class, path, vr).action


def test_codes_are_resolved_by_type() -> None:
    assert action(CT, "DeviceSerialNumber") is Action.REMOVE
    assert action(ENHANCED_MR, "DeviceSerialNumber") is Action.DUMMY
    assert action("1.2.3", "DeviceSerialNumber") is Action.DUMMY
    assert action(CT, "ContentDate") is Action.EMPTY
    assert action(ENHANCED_MR, "ContentDate") is Action.DUMMY
    assert action(SR, "ContentSequence") is Action.RECURSE
    assert decide(DEFAULT_POLICY, SR, (0x0040A730,), "SQ").strict


def test_every_attribute_of_the_table_is_acted_upon() -> None:
    """By the Basic Profile nothing of the table stays but references and dummied sequences."""
    for sop_class in (CT, ENHANCED_MR, SR, "1.2.3"):
        for tag, entry in Table.load().attributes.items():
            made = decide(DEFAULT_POLICY, sop_class, (tag,), "")
            if made.action is Action.RECURSE:
                assert made.strict or entry.basic == "X/Z/U*", entry.keyword
            else:
                assert made.action not in (Action.KEEP, Action.CLEAN), entry.keyword


def test_no_option_makes_more_of_it_stay_than_its_column() -> None:
    for option in Option:
        policy = Policy(frozenset([option]))
        for tag, entry in Table.load().attributes.items():
            if option not in entry.options:
                assert decide(policy, CT, (tag,), "") == decide(DEFAULT_POLICY, CT, (tag,), "")


def test_options_are_codes_of_cid_7050() -> None:
    assert [option.code for option in Option] == [str(number) for number in range(113101, 113113)]
    assert Option.RETAIN_SAFE_PRIVATE.code == "113111"
    assert all(
        option.meaning.endswith(" Option") and len(option.meaning) <= 64 for option in Option
    )


def test_a_policy_says_dates_once() -> None:
    assert Policy(dates="shift") == Policy(frozenset([Option.RETAIN_MODIFIED_DATES]))
    assert Policy(frozenset([Option.RETAIN_FULL_DATES])).dates == "keep"
    for options, dates in (
        ([Option.RETAIN_FULL_DATES], "shift"),
        ([Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES], "remove"),
    ):
        with pytest.raises(ConfigurationError):
            Policy(frozenset(options), dates=dates)  # type: ignore[arg-type]


def test_digests_name_policies() -> None:
    policies = [
        DEFAULT_POLICY,
        Policy(dates="shift"),
        Policy(dates="shift", whole_weeks=True),
        DEFAULT_POLICY.with_options(Option.CLEAN_DESCRIPTORS),
        Policy(private_keep=(PrivateKeep("ACME", 0x21, 1),)),
    ]
    digests = [policy.digest() for policy in policies]
    assert len(set(digests)) == len(policies)
    assert DEFAULT_POLICY.digest() == digests[0]
    assert pickle.loads(pickle.dumps(policies)) == policies


def test_safe_private_attributes_by_their_creator() -> None:
    safe = Choices.of(Policy(frozenset([Option.RETAIN_SAFE_PRIVATE])))
    made = decide_private(safe, "Philips PET Private Group", 0x70531009, "DS")
    assert (made.action, made.check) == (Action.KEEP, "number")
    for creator, tag, vr in (
        ("Philips PET Private Group", 0x70531009, "LO"),
        ("philips pet private group", 0x70531009, "DS"),
        ("Philips PET Private Group", 0x70531008, "DS"),
        ("", 0x70531009, "DS"),
    ):
        assert decide_private(safe, creator, tag, vr).action is Action.REMOVE


def test_explanations_name_rule_and_type() -> None:
    tag = int(tag_for_keyword("ContentDate") or 0)
    lines = "\n".join(explain(tag, Policy(dates="shift")))
    assert "E.1-1: Z/D" in lines
    assert "113107, chosen" in lines
    assert "moved by the patient's number of days" in lines
    assert "private" in "\n".join(explained(0x00091001, DEFAULT_POLICY))
    assert "keep list: keep" in "\n".join(explained(0x00080070, DEFAULT_POLICY))
    assert "known here" in "\n".join(explained(0x00189ABC, DEFAULT_POLICY))
