"""Karnak profiles: every codename is mapped, or listed with its line and why not."""

from __future__ import annotations

import pytest

from isocenter.core.deid.importers import import_karnak
from isocenter.core.deid.importers.imported import Imported
from isocenter.core.deid.policy import Option
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import ConfigurationError

SECRET = Secret(bytes(32))
ALIAS = PatientAlias("P-1", "P-1", -10)
BASIC = "\n  - {name: basic, codename: basic.dicom.profile}"


def imported(*elements: str) -> Imported:
    listed = "".join(f"\n  - {{name: n, {element}}}" for element in elements)
    return import_karnak(f"name: P\nversion: '1.0'\nprofileElements:{listed}{BASIC}")


def outcome(
    found: Imported, *path: int, value: str = "", vr: str = "LO", **others: str
) -> tuple[Action, str | None] | None:
    result = found.rules.match(path, "", vr, value, others.get, secret=SECRET, patient=ALIAS)
    return None if result is None else (result.action, result.value)


def test_the_basic_profile_alone_needs_no_rule() -> None:
    found = imported()
    assert not found.rules
    assert not found.unmapped
    assert not found.changed
    assert found.rules.name == "P"


@pytest.mark.parametrize(
    ("letter", "action"),
    [("K", Action.KEEP), ("X", Action.REMOVE), ("Z", Action.EMPTY), ("D", Action.DUMMY),
     ("U", Action.UID)],
)  # fmt: skip
def test_actions_on_tags(letter: str, action: Action) -> None:
    found = imported(
        f"codename: action.on.specific.tags, action: {letter}, "
        "tags: ['(0010,00XX)', '0008,1030'], excludedTags: ['0010,0010']"
    )
    assert not found.unmapped
    assert outcome(found, 0x00100020) == (action, None)
    assert outcome(found, 0x00081030) == (action, None)
    assert outcome(found, 0x00081115, 0x00100020) == (action, None)
    assert outcome(found, 0x00100010) is None
    assert RuleSet.from_yaml(found.rules.to_yaml()) == found.rules


def test_the_first_element_that_fits_decides() -> None:
    found = imported(
        "codename: action.on.specific.tags, action: K, tags: ['0008,1030'], "
        "condition: \"tagValueContains(#Tag.StudyDescription, 'R2D2')\"",
        "codename: action.on.specific.tags, action: X, tags: ['0008,1030']",
    )
    assert outcome(found, 0x00081030, StudyDescription="x R2D2") == (Action.KEEP, None)
    assert outcome(found, 0x00081030, StudyDescription="x") == (Action.REMOVE, None)


def test_private_tags() -> None:
    found = imported(
        "codename: action.on.privatetags, action: K, tags: ['(7053,xx00)', '(0008,xxxx)']",
        "codename: action.on.privatetags, action: K, tags: ['(00x9,xxxx)', '(000x,1001)']",
        "codename: action.on.privatetags, action: X",
    )
    assert outcome(found, 0x70531000) == (Action.KEEP, None)
    assert outcome(found, 0x00191234) == (Action.KEEP, None)
    assert outcome(found, 0x000B1001) == (Action.KEEP, None)
    assert outcome(found, 0x00080070) is None
    assert outcome(found, 0x00081001) is None
    assert outcome(found, 0x70531001) == (Action.REMOVE, None)


def test_tag_paths() -> None:
    found = imported(
        "codename: action.on.specific.tags, action: X, tags: ['(0040,0275).(0040,0009)', "
        "'**.(0008,1115).(0008,0050)', '(0040,0275).*.(0010,0010)']"
    )
    assert not found.rules  # one of its tags cannot be said: the whole element is listed
    assert "has no counterpart" in found.unmapped[0].why
    found = imported(
        "codename: action.on.specific.tags, action: X, tags: ['(0040,0275).(0040,0009)', "
        "'**.(0008,1115).(0008,0050)']"
    )
    assert outcome(found, 0x00400275, 0x00400009) == (Action.REMOVE, None)
    assert outcome(found, 0x00081110, 0x00400275, 0x00400009) is None
    assert outcome(found, 0x00081110, 0x00081115, 0x00080050) == (Action.REMOVE, None)


def test_uids() -> None:
    found = imported("codename: replace.uid, action: U, tags: ['0020,0052']")
    assert outcome(found, 0x00200052, vr="UI") == (Action.UID, None)
    assert imported("codename: replace.uid, action: K, tags: ['0020,0052']").unmapped


@pytest.mark.parametrize(
    ("option", "value", "vr", "expected"),
    [
        ("shift, arguments: {seconds: 0, days: 10}", "20200111", "DA", "20200101"),
        ("shift, arguments: {seconds: 30, days: 10}", "20200111120000", "DT", "20200101120000"),
        ("shift_range, arguments: {max_seconds: 6, max_days: 9}", "20200111", "DA", "20200101"),
        ("date_format, arguments: {remove: day}", "20200315", "DA", "20200301"),
        ("format_date, arguments: {remove: month_day}", "20200315", "DA", "20200101"),
    ],
)
def test_dates(option: str, value: str, vr: str, expected: str) -> None:
    found = imported(f"codename: action.on.dates, option: {option}, tags: ['0008,xxxx']")
    result = outcome(found, 0x00080020, value=value, vr=vr)
    assert result is not None
    assert result[1] == expected
    assert outcome(found, 0x00080030, value="120000", vr="TM") is None


@pytest.mark.parametrize(
    "element",
    [
        "codename: action.on.dates, option: shift_by_tag, arguments: {days_tag: '0015,0011'}",
        "codename: action.on.dates, option: shift_from_api, arguments: {url: 'http://x'}",
        "codename: action.on.dates, option: date_format, arguments: {remove: year}",
        "codename: action.on.dates, option: shift, arguments: {days: ten}",
        "codename: action.add.tag, arguments: {value: 'YES'}, tags: ['0028,0302']",
        "codename: action.add.private.tag, arguments: {value: x}, tags: ['0057,1000']",
        "codename: action.replace.api, arguments: {url: 'http://x'}, tags: ['0010,0020']",
        "codename: nothing.of.karnak",
        "codename: action.on.specific.tags, action: Q, tags: ['0010,0020']",
        "codename: action.on.specific.tags, action: X, tags: ['0010,002']",
        "codename: action.on.privatetags, action: X, tags: ['0010,0020']",
        "codename: action.on.specific.tags, action: K, tags: ['0010,0020'], condition: 'what?'",
        "codename: expression.on.tags, arguments: {expr: 'ComputePatientAge()'}, "
        "tags: ['0010,1010']",
        "codename: expression.on.tags, arguments: {expr: ''}, tags: ['0010,1010']",
    ],
)
def test_what_has_no_counterpart_is_listed_with_its_line(element: str) -> None:
    found = imported("codename: clean.pixel.data", element)
    assert [one.line for one in found.unmapped] == [5]
    assert found.unmapped[0].why
    assert not found.rules


@pytest.mark.parametrize(
    ("condition", "others", "holds"),
    [
        ("tagValueIsPresent(#Tag.Modality, 'CT')", {"Modality": "CT"}, True),
        ('tagValueIsPresent(\\"0008,0060\\", \\"CT\\")', {"Modality": "CT"}, True),
        ("!tagValueIsPresent(#Tag.Modality, 'CT')", {}, True),
        ("tagValueBeginsWith(#Tag.StationName, 'A')", {"StationName": "AB"}, True),
        ("tagValueEndsWith(#Tag.StationName, 'A')", {"StationName": "AB"}, False),
        ("tagIsPresent('(0008,1010)')", {}, False),
        ("!tagIsPresent(#Tag.StationName) && tagIsPresent(#Tag.Modality)",
         {"Modality": "CT"}, True),
        ("tagIsPresent(#Tag.StationName) || tagIsPresent(#Tag.Modality)", {"Modality": "CT"}, True),
        ("!(tagIsPresent(#Tag.StationName) || tagIsPresent(#Tag.Modality))", {}, True),
        ("!(tagIsPresent(#Tag.StationName) and tagIsPresent(#Tag.Modality))",
         {"Modality": "C"}, True),
        ("tagIsPresent(#Tag.Modality) and (getString(#Tag.Modality) == 'CT' or "
         "getString(#Tag.Modality).startsWith('M'))", {"Modality": "MR"}, True),
        ("getString(#Tag.StationName) == null", {}, True),
        ("getString(#Tag.StationName) != null", {}, False),
        ("true", {}, True),
    ],
)  # fmt: skip
def test_conditions(condition: str, others: dict[str, str], holds: bool) -> None:
    found = imported(
        "codename: action.on.specific.tags, action: K, tags: ['0008,1030'], "
        f'condition: "{condition}"'
    )
    assert not found.unmapped
    assert (outcome(found, 0x00081030, **others) is not None) is holds


@pytest.mark.parametrize(
    ("expression", "tag", "value", "expected"),
    [
        ("stringValue == 'UNDEFINED'? Keep() : Remove()", 0x00081030, "UNDEFINED", "keep"),
        ("stringValue == 'UNDEFINED'? Keep() : Remove()", 0x00081030, "x", "remove"),
        ("stringValue == 'J' and tag == #Tag.PatientName? Replace('x') : null", 0x00100010, "J",
         "x"),
        ("stringValue == 'J' and tag == #Tag.PatientName? Replace('x') : null", 0x00081030, "J",
         None),
        ("tag != #Tag.PatientName ? Remove() : null", 0x00081030, "", "remove"),
        ("tag != #Tag.PatientName ? Remove() : null", 0x00100010, "", None),
        ("vr == #VR.LO ? ReplaceNull() : UID()", 0x00081030, "", "empty"),
        ("Replace(getString(#Tag.Modality) + '-' + stringValue)", 0x00081030, "a", "CT-a"),
        ("Replace('it''s {1}')", 0x00081030, "a", "it's {1}"),
        ("getString(#Tag.Modality) == 'CT' ? ExcludeInstance() : null", 0x00081030, "", "refuse"),
        ("stringValue.contains('a') ? null : Remove()", 0x00081030, "b", "remove"),
        ("stringValue.contains('a') ? null : Remove()", 0x00081030, "a", None),
        ("stringValue.matches('a+') ? Keep() : stringValue.isEmpty() ? Remove() : ReplaceNull()",
         0x00081030, "ba", "empty"),
        ("null", 0x00081030, "", None),
    ],
)  # fmt: skip
def test_expressions(expression: str, tag: int, value: str, expected: str | None) -> None:
    found = imported(
        f'codename: expression.on.tags, arguments: {{expr: "{expression}"}}, tags: ["(xxxx,xxxx)"]'
    )
    assert not found.unmapped
    result = outcome(found, tag, value=value, Modality="CT")
    assert (result and (result[1] or result[0].value)) == expected


def test_pixels_faces_and_masks() -> None:
    found = import_karnak(
        "name: P\nprofileElements:\n  - {name: p, codename: clean.pixel.data}\n"
        "  - {name: f, codename: clean.recognizable.visual.features}\n"
        "masks:\n  - stationName: R2D2\n    rectangles: ['25 25 150 50']\n"
        "defaultIssuerOfPatientID: DPA\nsomething: else\n"
    )
    assert found.options == {Option.CLEAN_PIXEL_DATA, Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES}
    assert [one.line for one in found.unmapped] == [6, 8, 9]
    assert "basic profile" in found.changed[0].why


def test_what_follows_the_basic_profile_is_listed() -> None:
    found = import_karnak(
        "profileElements:\n  - {name: basic, codename: basic.dicom.profile}\n"
        "  - {name: late, codename: action.on.privatetags, action: X}\n"
    )
    assert [one.line for one in found.unmapped] == [3]
    assert not found.rules


def test_keeping_everything_is_said_aloud() -> None:
    found = imported("codename: action.on.specific.tags, action: K, tags: ['(xxxx,xxxx)']")
    assert "keeps every attribute" in found.changed[0].why


@pytest.mark.parametrize("text", ["", "[", "name: x", "profileElements: x", "- a"])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Karnak profile"):
        import_karnak(text)
