"""A site's rules: which elements they mean, under what conditions, and what they do."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, keyword_for_tag

from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.site_rules import Rule, RuleOutcome, RuleSet, ValueTest
from isocenter.core.deid.rules.tag_patterns import TagPattern, tag_of
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import ConfigurationError

SECRET = Secret(bytes(32))
ALIAS = PatientAlias("P-1", "One^P", -10)


def outcome(
    rules: str | RuleSet,
    *path: str | int,
    value: str = "",
    vr: str = "",
    others: Mapping[str, str] | None = None,
    creator: str = "",
) -> RuleOutcome | None:
    """What rules say of an element at a path of keywords or tags."""
    tags = tuple(tag_of(step) if isinstance(step, str) else step for step in path)
    ruleset = RuleSet.from_yaml(rules) if isinstance(rules, str) else rules
    return ruleset.match(
        tags,
        keyword_for_tag(tags[-1]),
        vr or dictionary_VR(tags[-1]),
        value,
        (others or {}).get,
        secret=SECRET,
        patient=ALIAS,
        creator=creator,
    )


def one_rule(body: str) -> str:
    return f"rules:\n  - {{{body}}}\n"


def new_value(body: str, value: str, tag: str = "PatientComments", **more: object) -> str | None:
    found = outcome(one_rule(f"tags: {tag}, {body}"), tag, value=value, **more)  # type: ignore[arg-type]
    assert found is not None
    return found.value


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("PatientName", (0x00100010,), True),
        ("PatientName", (0x00081115, 0x00100010), True),
        ("PatientName", (0x00100020,), False),
        ("/PatientName", (0x00100010,), True),
        ("/PatientName", (0x00081115, 0x00100010), False),
        ("(0010,0010)", (0x00100010,), True),
        ("00100010", (0x00100010,), True),
        ("0010,0010", (0x00100010,), True),
        ("(0010,xxxx)", (0x00102160,), True),
        ("(0010,00XX)", (0x00102160,), False),
        ("60xx3000", (0x60023000,), True),
        ("60xx3000", (0x60023001,), False),
        ("OverlayData", (0x601E3000,), True),
        ("private", (0x00091001,), True),
        ("private", (0x00081001,), False),
        ("ReferencedSeriesSequence/SeriesInstanceUID", (0x00081115, 0x0020000E), True),
        ("ReferencedSeriesSequence/SeriesInstanceUID", (0x00081199, 0x0020000E), False),
        ("ReferencedSeriesSequence/SeriesInstanceUID", (0x0020000E,), False),
        ("/ReferencedSeriesSequence/(xxxx,xxxx)", (0x00081115, 0x0020000E), True),
        ("/ReferencedSeriesSequence/(xxxx,xxxx)", (0x00081110, 0x00081115, 0x0020000E), False),
    ],
)
def test_a_pattern_means(pattern: str, path: tuple[int, ...], fits: bool) -> None:
    assert TagPattern(pattern).fits(path) is fits
    if fits:
        assert TagPattern(pattern).may_fit(path[-1])


def test_a_private_element_is_meant_by_its_creator_in_any_block() -> None:
    pattern = TagPattern('(0019,xx0C,"SIEMENS MR HEADER")')
    assert pattern.fits((0x0019100C,), "SIEMENS MR HEADER")
    assert pattern.fits((0x0019110C,), "Siemens MR Header ")
    assert not pattern.fits((0x0019100C,), "GEMS_ACQU_01")
    assert not pattern.fits((0x0019100D,), "SIEMENS MR HEADER")


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("OperatorName", "OperatorsName"),
        ("(0010,001)", "PatientName"),
        ("", "PatientName"),
        ('(0018,xx0C,"GEMS")', "odd"),
    ],
)
def test_what_is_no_pattern_says_what_is_near(pattern: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        TagPattern(pattern)


@given(st.integers(0, 0xFFFFFFFF), st.text("0123456789abcdefx", min_size=8, max_size=8))
@settings(max_examples=200)
def test_a_wildcard_means_what_its_digits_say(tag: int, digits: str) -> None:
    spelled = f"{tag:08x}"
    expected = all(digit in ("x", own) for digit, own in zip(digits, spelled, strict=True))
    assert TagPattern(f"({digits[:4]},{digits[4:]})").fits((tag,)) is expected


def test_the_first_rule_that_fits_decides() -> None:
    rules = """
    rules:
      - {name: CT only, tags: StudyDescription, if: {Modality: CT}, action: keep}
      - {name: rest, tags: [StudyDescription, SeriesDescription], action: remove}
    """
    kept = outcome(rules, "StudyDescription", others={"Modality": "CT"})
    assert kept == RuleOutcome(Action.KEEP, None, "CT only")
    gone = outcome(rules, "StudyDescription", others={"Modality": "MR"})
    assert gone == RuleOutcome(Action.REMOVE, None, "rest")
    assert outcome(rules, "PatientName") is None


@pytest.mark.parametrize(
    ("condition", "others", "holds"),
    [
        ("{Modality: CT}", {"Modality": "CT "}, True),
        ("{Modality: [CT, MR]}", {"Modality": "MR"}, True),
        ("{Modality: [CT, MR]}", {"Modality": "CTX"}, False),
        ("{Modality: {not: CT}}", {"Modality": "MR"}, True),
        ("{Modality: {not: CT}}", {}, True),
        ("{Modality: {present: true}}", {}, False),
        ("{Modality: {present: false}}", {}, True),
        ("{Modality: {empty: true}}", {"Modality": ""}, True),
        ("{Modality: {empty: false}}", {"Modality": "CT"}, True),
        ("{Manufacturer: {contains: ge, ignore-case: true}}", {"Manufacturer": "GE X"}, True),
        ("{Manufacturer: {contains: ge}}", {"Manufacturer": "GE X"}, False),
        ("{Manufacturer: {starts: GE, ends: X}}", {"Manufacturer": "GE X"}, True),
        ("{Manufacturer: {matches: '^G.'}}", {"Manufacturer": "GE"}, True),
        ("{SeriesNumber: {above: 100}}", {"SeriesNumber": "101"}, True),
        ("{SeriesNumber: {below: 100}}", {"SeriesNumber": "101"}, False),
        ("{SeriesNumber: {above: 100}}", {"SeriesNumber": "many"}, False),
        ("{Modality: CT, Manufacturer: GE}", {"Modality": "CT", "Manufacturer": "X"}, False),
        ("[{Modality: CT}, {Manufacturer: GE}]", {"Manufacturer": "GE"}, True),
        ("{Modality: [{contains: C}, {contains: T}]}", {"Modality": "CT"}, True),
    ],
)
def test_conditions(condition: str, others: dict[str, str], holds: bool) -> None:
    rule = one_rule(f"tags: StudyDescription, action: keep, if: {condition}")
    assert (outcome(rule, "StudyDescription", others=others) is not None) is holds


def test_a_test_of_the_value_and_a_vr() -> None:
    rule = one_rule("tags: '(xxxx,xxxx)', vr: [LO, SH], when: {matches: '[0-9]{6}'}, action: empty")
    assert outcome(rule, "StudyDescription", value="MRN 123456") is not None
    assert outcome(rule, "StudyDescription", value="Chest") is None
    assert outcome(rule, "PatientName", value="123456") is None


def test_exceptions_stay_out() -> None:
    rule = one_rule("tags: '(0010,xxxx)', except: [PatientID, /PatientSex], action: remove")
    assert outcome(rule, "PatientAge") is not None
    assert outcome(rule, "PatientID") is None
    assert outcome(rule, "PatientSex") is None
    assert outcome(rule, "ReferencedSeriesSequence", "PatientSex") is not None


def test_wildcards_leave_what_makes_the_object_readable() -> None:
    rules = RuleSet.from_yaml(one_rule("tags: '(xxxx,xxxx)', action: remove"))
    for keyword in ("SOPClassUID", "Rows", "PixelData", "SpecificCharacterSet",
                    "PatientIdentityRemoved", "TransferSyntaxUID"):  # fmt: skip
        assert not rules.touches(tag_of(keyword))
        assert outcome(rules, keyword) is None
    assert rules.touches(tag_of("PatientName"))


def test_the_index_knows_which_tags_are_named() -> None:
    rules = RuleSet.from_yaml(one_rule("tags: [PatientName, '(0008,10xx)'], action: empty"))
    assert rules.tags == {0x00100010}
    assert rules.touches(0x00081030)
    assert not rules.touches(0x00080020)
    assert not RuleSet().touches(0x00100010)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("keep", Action.KEEP), ("remove", Action.REMOVE), ("empty", Action.EMPTY),
        ("dummy", Action.DUMMY), ("uid", Action.UID), ("clean", Action.CLEAN),
        ("refuse", Action.REFUSE),
    ],
)  # fmt: skip
def test_actions_that_the_engine_does_itself(action: str, expected: Action) -> None:
    found = outcome(one_rule(f"tags: StudyDescription, action: {action}"), "StudyDescription")
    assert found == RuleOutcome(expected, None, "rule 1")


def test_pseudonym_is_the_name_for_names() -> None:
    rule = one_rule("tags: [PatientName, ClinicalTrialSubjectID], action: pseudonym")
    assert outcome(rule, "PatientName").value == "One^P"  # type: ignore[union-attr]
    assert outcome(rule, "ClinicalTrialSubjectID").value == "P-1"  # type: ignore[union-attr]


def test_replace_and_regex_replace() -> None:
    assert new_value("action: replace, value: x", "old") == "x"
    body = r"action: regex-replace, pattern: '(\d)\d+', by: '\1#'"
    assert new_value(body, "a 123 b 45") == "a 1# b 4#"
    assert new_value(body, "12\\34", "OtherPatientIDs") == "1#\\3#"
    assert new_value(body, "a\\12", "PatientComments") == "a\\1#"  # LT has one value


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{pseudonym} of {Modality}", "P-1 of CT"),
        ("{shift:StudyDate}", "20191222"),
        ("{shift:Manufacturer}", ""),
        ("{hash:PatientID:8}", SECRET.hash_text("A1", 8)),
        ("{hash:value}", SECRET.digest("old")),
        ("{hash:StationName}", ""),
        ("{uid:StudyInstanceUID}", SECRET.uid("1.2.3")),
        ("{first:value:2}{last:value:1}", "old"),
        ("{{{value}}}", "{old}"),
        ("{StationName}", ""),
    ],
)
def test_templates(template: str, expected: str) -> None:
    others = {
        "Modality": "CT", "StudyDate": "20200101", "PatientID": "A1 ", "StudyInstanceUID": "1.2.3",
        "Manufacturer": "GE",
    }  # fmt: skip
    assert new_value(f"action: template, template: '{template}'", "old", others=others) == expected


@pytest.mark.parametrize(
    "template",
    ["{", "}", "{value", "{nothing:value}", "{first:value}", "{PatientNam}", "{value:3}"],
)
def test_templates_that_cannot_be(template: str) -> None:
    with pytest.raises(ConfigurationError):
        RuleSet.from_yaml(
            one_rule(f"tags: PatientComments, action: template, template: '{template}'")
        )


def test_hashes_fit_their_vr() -> None:
    digest = SECRET.hash_text("A1", 64)
    assert new_value("action: hash", "A1", "PatientID") == digest[:16]
    assert new_value("action: hash, length: 4", "A1\\B2", "OtherPatientIDs") == "\\".join(
        SECRET.hash_text(value, 4) for value in ("A1", "B2")
    )
    assert new_value("action: hash, length: 40", "A1", "AccessionNumber") == digest[:16]  # SH
    assert new_value("action: hash", "A1", "Modality") == digest[:16].upper()  # CS
    assert new_value("action: hash", "1.2.3", "StudyInstanceUID") == SECRET.uid("1.2.3")
    assert 0 <= int(new_value("action: hash", "7", "SeriesNumber") or "") < 10**9
    nothing = outcome(one_rule("tags: StudyDate, action: hash"), "StudyDate", value="20200101")
    assert nothing == RuleOutcome(Action.EMPTY, None, "rule 1")


@pytest.mark.parametrize(
    ("tag", "to", "value", "expected"),
    [
        ("PatientWeight", "5", "72.4", "70"),
        ("PatientWeight", "0.5", "72.4", "72.5"),
        ("SeriesNumber", "10", "17\\", "20\\"),
        ("PatientAge", "5", "047Y", "045Y"),
        ("PatientAge", "5", "093Y", "090Y"),
        ("StudyDate", "month", "20200315", "20200301"),
        ("StudyDate", "year", "20200315", "20200101"),
        ("StudyDate", "month", "2020.03.15", "20200301"),
        ("AcquisitionDateTime", "month", "20200315120000.5+0100", "20200301"),
        ("AcquisitionDateTime", "year", "202003", "2020"),
        ("StudyTime", "hour", "123456.789", "120000"),
        ("StudyTime", "minute", "1234", "123400"),
    ],
)
def test_rounding(tag: str, to: str, value: str, expected: str) -> None:
    assert new_value(f"action: round, to: {to}", value, tag) == expected


@pytest.mark.parametrize(
    ("tag", "to", "value"),
    [
        ("PatientWeight", "5", "heavy"), ("PatientWeight", "5", "NaN"), ("StudyDate", "5", "2020"),
        ("StudyDate", "month", "20201301"), ("StudyTime", "hour", "25"), ("PatientAge", "5", "old"),
        ("PatientName", "5", "12"), ("StudyTime", "month", "120000"), ("StudyDate", "hour", "2020"),
    ],
)  # fmt: skip
def test_what_cannot_be_rounded_is_emptied(tag: str, to: str, value: str) -> None:
    found = outcome(one_rule(f"tags: {tag}, action: round, to: {to}"), tag, value=value)
    assert found is not None
    assert (found.action, found.value) == (Action.EMPTY, None)


def test_shifts_are_the_patients_or_the_rules() -> None:
    assert new_value("action: shift", "20200111", "StudyDate") == "20200101"
    assert new_value("action: shift, days: 5", "20200111", "StudyDate") == "20200116"
    assert new_value("action: shift", "120000", "StudyTime") == "120000"
    broken = outcome(one_rule("tags: StudyDate, action: shift"), "StudyDate", value="soon")
    assert broken == RuleOutcome(Action.EMPTY, None, "rule 1")


def test_every_mistake_is_named_with_its_line() -> None:
    text = """\
rules:
  - tags: OperatorName
    action: remove
  - tags: InstanceNumber
    action: replace
    value: Anonimo
  - tags: PixelData
    action: remove
  - tag: PatientName
    action: remove
  - tags: PatientName
    action: remov
  - tags: PatientName
    action: regex-replace
    pattern: "(a"
    by: x
  - tags: PatientName
    action: hash
    length: eight
  - tags: PatientName
  - action: remove
  - tags: PatientName
    action: replace
  - tags: PatientName
    action: keep
    if: {Modalty: CT}
  - tags: PatientName
    action: keep
    when: {like: x}
  - tags: PatientName
    action: keep
    vr: XX
  - tags: PatientName
    action: keep
    value: x
  - tags: PatientName
    tags: PatientID
    action: keep
"""
    with pytest.raises(ConfigurationError) as caught:
        RuleSet.from_yaml(text)
    message = str(caught.value)
    for part in (
        "line 2: 'OperatorName'", "OperatorsName", "line 4: 'Anonimo' is no value of VR IS",
        "line 7: PixelData cannot be changed", "line 9: 'tag' is not known", "did you mean tags",
        "line 12: 'remov' is no action (did you mean remove?)", "line 13: regular expression",
        "line 19: length: 'eight'", "line 20: the rule has no action", "line 21: the rule names no",
        "line 22: action replace needs 'value'", "line 26: 'Modalty' is no DICOM keyword",
        "line 29: 'like' is not known in a test", "line 32: 'XX' is no VR",
        "line 35: 'value' is not known in action keep", "line 37: 'tags' stands twice",
    ):  # fmt: skip
        assert part in message


@pytest.mark.parametrize(
    "text",
    ["", "[]", "rules", "rules: {}", "rules: [x]", "name: x", "rules: [", "rules: [{tags: {a: b}}]",
     "rules: [{tags: PatientName, action: replace, value: [1]}]",
     "rules: [{tags: PatientName, action: round, to: 0}]",
     "rules: [{tags: AcquisitionDuration, action: replace, value: '5'}]",
     "rules: [{tags: ReferencedStudySequence, action: replace, value: x}]",
     "rules: [{tags: PatientName, action: hash, length: 65}]",
     "rules: [{tags: PatientName, action: regex-replace, pattern: a, by: '\\2'}]",
     "rules: [{tags: PatientName, action: keep, if: {}}]"],
)  # fmt: skip
def test_what_are_no_rules_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        RuleSet.from_yaml(text)


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        RuleSet.from_yaml(text)


def test_a_file_is_read_and_a_missing_one_named(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("name: mine\nrules: [{tags: PatientAge, action: remove}]")
    assert RuleSet.from_yaml(path).name == "mine"
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        RuleSet.from_yaml(tmp_path / "none.yaml")


TESTS = st.builds(
    ValueTest,
    st.sampled_from(["equals", "contains", "starts", "ends", "above", "matches"]),
    st.text("ab1 :#'\"", max_size=5),
    st.booleans(),
    st.booleans(),
)


@given(
    st.sampled_from(["PatientName", "(0010,xxxx)", "/StudyDate", "private", '(0019,xx0C,"A B")']),
    st.lists(TESTS, max_size=3).map(tuple),
    st.sampled_from(
        [
            Change(ChangeKind.KEEP),
            Change(ChangeKind.HASH, length=5),
            Change(ChangeKind.SHIFT, days=-3),
            Change(ChangeKind.SHIFT),
            Change(ChangeKind.TEMPLATE, "{value} {{x}}"),
            Change(ChangeKind.REGEX_REPLACE, "(a)|b", "\\1"),
            Change(ChangeKind.ROUND, "year"),
        ]
    ),
)
@settings(max_examples=60)
def test_what_is_written_is_read_back(
    tags: str, tests: tuple[ValueTest, ...], change: Change
) -> None:
    rules = RuleSet((Rule("rule: 1", (TagPattern(tags),), change, value=tests),), "set #1")
    again = RuleSet.from_yaml(rules.to_yaml())
    assert again == rules
    assert again.digest() == rules.digest()


def test_rules_go_to_a_child_process_and_add_up() -> None:
    first = RuleSet.from_yaml(one_rule("tags: PatientName, action: remove"))
    second = RuleSet.from_yaml(one_rule("tags: '(xxxx,xxxx)', action: keep"))
    assert outcome(first + second, "PatientName").action is Action.REMOVE  # type: ignore[union-attr]
    sent = pickle.loads(pickle.dumps(first + second))
    assert sent == first + second
    assert hash(sent) == hash(first + second)
    assert outcome(sent, "PatientID").action is Action.KEEP  # type: ignore[union-attr]
    assert first.digest() != second.digest()
