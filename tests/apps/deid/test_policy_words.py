"""What pages say of a policy is what the engine does."""

from __future__ import annotations

import pytest

from isocenter.apps.deid import option_texts
from isocenter.apps.deid.attribute_words import find, told
from isocenter.apps.deid.documents import ProjectDocument, read_document
from isocenter.apps.deid.fates import Fate, outcome
from isocenter.apps.deid.policy_words import in_brief, summary
from isocenter.apps.deid.private_lines import read_private, write_private
from isocenter.apps.deid.rule_problems import rule_problems
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.rules.presets import PRESETS
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.rules.values import ChangeKind
from isocenter.core.deid.standard.dictionary import tag_of_keyword

CT = "1.2.840.10008.5.1.4.1.1.2"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"

# What the text of each option says stays with it, and goes without it.
SAID = {
    Option.RETAIN_PATIENT_CHARACTERISTICS: (
        "PatientSex PatientAge PatientSize PatientWeight EthnicGroup SmokingStatus PregnancyStatus",
        CT,
    ),
    Option.RETAIN_DEVICE_IDENTITY: ("StationName DeviceSerialNumber DetectorID", CT),
    Option.RETAIN_INSTITUTION_IDENTITY: (
        "InstitutionName InstitutionAddress InstitutionalDepartmentName",
        CT,
    ),
    Option.RETAIN_UIDS: ("StudyInstanceUID SeriesInstanceUID SOPInstanceUID", CT),
    Option.CLEAN_DESCRIPTORS: (
        "StudyDescription SeriesDescription ProtocolName PatientComments",
        CT,
    ),
}


def fate(keyword, policy=None, sop_class=CT):
    return outcome(policy or Policy(), sop_class, tag_of_keyword(keyword)).fate


def ruled(keyword, rules, sop_class=CT):
    policy = Policy(rules=RuleSet.from_yaml(f"rules:\n{rules}"))
    return outcome(policy, sop_class, tag_of_keyword(keyword))


@pytest.mark.parametrize("option", SAID)
def test_an_option_lets_stay_what_its_text_says(option):
    keywords, sop_class = SAID[option]
    wanted = Fate.CHANGED if option is Option.CLEAN_DESCRIPTORS else Fate.STAYS
    for keyword in keywords.split():
        without = fate(keyword, None, sop_class)
        assert without is (Fate.CHANGED if option is Option.RETAIN_UIDS else Fate.GOES), keyword
        assert fate(keyword, Policy(options=frozenset({option})), sop_class) is wanted, keyword


def test_names_of_contours_go_without_clean_descriptors():
    assert fate("ROIName", None, STRUCTURES) is Fate.GOES
    cleaned = Policy(options=frozenset({Option.CLEAN_DESCRIPTORS}))
    assert fate("ROIName", cleaned, STRUCTURES) is Fate.CHANGED


def test_maker_model_and_version_stay_in_any_case():
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        assert fate(keyword) is Fate.STAYS, keyword


def test_reports_and_annotations_keep_no_text_unless_they_are_cleaned():
    for keyword, sop_class in (
        ("ContentSequence", REPORT),
        ("GraphicAnnotationSequence", PRESENTATION),
    ):
        assert "says nothing" in outcome(Policy(), sop_class, tag_of_keyword(keyword)).text


def test_every_choice_there_is_has_a_text():
    by_others = {
        Option.RETAIN_FULL_DATES,
        Option.RETAIN_MODIFIED_DATES,
        Option.CLEAN_PIXEL_DATA,
        Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES,
    }
    assert set(option_texts.RETAINED) | set(option_texts.CLEANED) | by_others == set(Option)
    assert all(option_texts.presets()[name].text for name in PRESETS)
    for field, texts in {
        "dates": option_texts.DATES,
        "pixels": option_texts.PIXELS,
        "faces": option_texts.FACES,
        "documents": option_texts.DOCUMENTS,
    }.items():
        for value in texts:
            document = read_document({field: value})
            assert summary(document).held
            assert in_brief(document)
        schema = ProjectDocument.model_json_schema()["properties"][field]
        assert set(texts) == set(schema["enum"]), field


@pytest.mark.parametrize("kind", ChangeKind)
def test_every_action_of_a_rule_has_words(kind):
    more = {
        "replace": ", value: x",
        "template": ", template: x",
        "regex-replace": ", pattern: a, by: b",
        "round": ", to: 10",
    }.get(str(kind), "")
    keyword = "PatientWeight" if kind == "round" else "StudyDate" if kind == "shift" else "StudyID"
    found = ruled(keyword, f"- {{name: mine, tags: {keyword}, action: {kind}{more}}}\n")
    assert found.rule == "mine"
    assert found.text


def test_a_rule_cannot_take_what_an_object_needs():
    rules = "- {name: all, tags: [StudyDate, PatientComments], action: remove}\n"
    assert ruled("PatientComments", rules).text == "removed"
    needed = ruled("StudyDate", rules)  # Type 2
    assert (needed.text, needed.rule) == ("emptied", "all")


def test_a_rule_does_not_touch_what_no_rule_may_touch():
    rules = '- {name: all, tags: "(0028,xxxx)", action: remove}\n'
    assert (ruled("Rows", rules).fate, ruled("Rows", rules).rule) == (Fate.STAYS, "")
    assert ruled("WindowCenter", rules).rule == "all"
    assert ruled("PixelData", '- {name: all, tags: "(7FE0,xxxx)", action: remove}\n').rule == ""


def test_the_first_rule_that_always_fits_decides():
    rules = (
        "- {name: one, tags: StudyID, action: keep, if: {Modality: {equals: CT}}}\n"
        "- {name: two, tags: StudyID, action: hash}\n"
        "- {name: three, tags: StudyID, action: remove}\n"
    )
    found = ruled("StudyID", rules)
    assert (found.rule, found.unless) == ("two", ("one",))


def test_a_sequence_takes_no_text():
    rules = "- {name: odd, tags: ContentSequence, action: clean}\n"
    assert "one by one" in ruled("ContentSequence", rules, REPORT).text


@pytest.mark.parametrize(
    "text",
    ["PatientBirthDate", "patientbirthdate", "Patient's Birth Date", "0010,0030", "00100030",
     "(0010,0030)", " (0010, 0030) "],
)  # fmt: skip
def test_an_attribute_is_found_by_any_of_its_names(text):
    assert find(text) == 0x00100030
    assert told(text, Policy()).tag == "(0010,0030)"


def test_lines_of_private_attributes_go_there_and_back():
    text = "0019,xx0c SIEMENS MR HEADER\n0029 ACME 1.1"
    found, problems = read_private(f'(0019,xx0C, "x")\n{text}\n(0029,xxxx) ACME'.split("\n", 1)[1])
    assert problems == []
    document = read_document({"private_keep": found[:2]})
    assert write_private(document.private_keep) == text
    assert found[2] == {"creator": "ACME", "group": 0x29, "element": None}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rules: [", 1),
        ("rules:\n  - tags: &a X\n    action: *a\n", 3),
        ("rules:\n\t- x", 2),
        ("name: x", 1),
    ],
)
def test_each_mistake_of_rules_has_its_line(text, line):
    assert [problem.line for problem in rule_problems(text)] == [line]
    assert rule_problems("") == rule_problems("  \n") == []
