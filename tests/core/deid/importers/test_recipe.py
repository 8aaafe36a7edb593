"""deid recipes: every action is mapped, or listed with its line and why not."""

from __future__ import annotations

import pytest

from isocenter.core.deid.importers import import_recipe
from isocenter.core.deid.importers.imported import Imported
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.rules.tag_patterns import tag_of
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import ConfigurationError

SECRET = Secret(bytes(32))
ALIAS = PatientAlias("P-1", "P-1", -10)


def header(*lines: str) -> Imported:
    return import_recipe("FORMAT dicom\n%header\n" + "\n".join(lines))


def outcome(
    found: Imported, keyword: str | int, value: str = "", vr: str = "LO", creator: str = ""
) -> tuple[Action, str | None] | None:
    tag = tag_of(keyword) if isinstance(keyword, str) else keyword
    result = found.rules.match(
        (tag,), "", vr, value, {}.get, secret=SECRET, patient=ALIAS, creator=creator
    )
    return None if result is None else (result.action, result.value)


@pytest.mark.parametrize(
    ("line", "keyword", "value", "vr", "expected"),
    [
        ("KEEP Modality", "Modality", "CT", "CS", (Action.KEEP, None)),
        ("BLANK StudyDescription", "StudyDescription", "a", "LO", (Action.EMPTY, None)),
        ("REMOVE PatientAge # why", "PatientAge", "a", "AS", (Action.REMOVE, None)),
        ("REPLACE PatientName a b", "PatientName", "x", "PN", (Action.REPLACE, "a b")),
        ("ADD StudyDescription x", "StudyDescription", "a", "LO", (Action.REPLACE, "x")),
        ("REPLACE PatientID var:id", "PatientID", "a", "LO", (Action.PSEUDONYM, "P-1")),
        ("JITTER StudyDate 31", "StudyDate", "20200101", "DA", (Action.SHIFT, "20200201")),
        ("JITTER StudyDate -1", "StudyDate", "20200101", "DA", (Action.SHIFT, "20191231")),
        ("JITTER StudyDate var:j", "StudyDate", "20200111", "DA", (Action.SHIFT, "20200101")),
        ("JITTER endswith:Date 1", "SeriesDate", "20200101", "DA", (Action.SHIFT, "20200102")),
        ("REMOVE startswith:patientmother", "PatientMotherBirthName", "", "PN",
         (Action.REMOVE, None)),
        ("BLANK contains:Physician", "PhysiciansOfRecord", "", "PN", (Action.EMPTY, None)),
        ("REMOVE contains:0019", 0x00191007, "", "CS", (Action.REMOVE, None)),
        ("KEEP select:group:0018", "ProtocolName", "", "LO", (Action.KEEP, None)),
        ("BLANK select:VR:TM", "StudyTime", "", "TM", (Action.EMPTY, None)),
        ("BLANK select:VR:TM", "StudyDate", "", "DA", None),
        ("REMOVE ALL", "StationName", "", "SH", (Action.REMOVE, None)),
        ("BLANK except:StudyDate|StudyTime", "StudyDate", "", "DA", None),
        ("BLANK except:StudyDate|StudyTime", "SeriesDate", "", "DA", (Action.EMPTY, None)),
        (r"REMOVE ALL contains:(\d{7})", "StudyDescription", "n 1234567", "LO",
         (Action.REMOVE, None)),
        (r"REMOVE ALL contains:(\d{7})", "StudyDescription", "chest", "LO", None),
        ("REMOVE StudyDescription notequals:Chest", "StudyDescription", "chest", "LO", None),
        ("REMOVE StudyDescription equals:Chest", "StudyDescription", "chest", "LO",
         (Action.REMOVE, None)),
        ("REMOVE (0008,1030)", "StudyDescription", "", "LO", (Action.REMOVE, None)),
        ("REMOVE 00081030", "StudyDescription", "", "LO", (Action.REMOVE, None)),
        ("REPLACE StudyInstanceUID deid_func:dicom_uuid org_root=1.2", "StudyInstanceUID", "1.2.3",
         "UI", (Action.HASH, SECRET.uid("1.2.3"))),
        ("REPLACE StationName deid_func:simple_uuid", "StationName", "a", "SH",
         (Action.HASH, SECRET.digest("a"))),
        ("REPLACE StudyDate deid_func:jitter days=1", "StudyDate", "20200101", "DA",
         (Action.SHIFT, "20200102")),
    ],
)  # fmt: skip
def test_header_actions(
    line: str, keyword: str | int, value: str, vr: str, expected: tuple[Action, str | None] | None
) -> None:
    found = header(line)
    if "ALL" not in line and "except" not in line:
        assert not found.unmapped
    assert outcome(found, keyword, value, vr) == expected
    assert RuleSet.from_yaml(found.rules.to_yaml()) == found.rules


def test_private_fields_by_their_creator() -> None:
    found = header('KEEP (0033,"MITRA OBJECT UTF8 ATTRIBUTES 1.0",1E)')
    creator = "MITRA OBJECT UTF8 ATTRIBUTES 1.0"
    assert outcome(found, 0x0033101E, creator=creator) == (Action.KEEP, None)
    assert outcome(found, 0x0033101E, creator="x") is None


def test_the_stronger_action_wins_whatever_the_order() -> None:
    found = header("REMOVE ALL", "BLANK StudyDate", "REPLACE StudyDate 20000101", "KEEP Modality")
    assert outcome(found, "Modality", vr="CS") == (Action.KEEP, None)
    assert outcome(found, "StudyDate", vr="DA") == (Action.REPLACE, "20000101")
    assert outcome(found, "StationName") == (Action.REMOVE, None)


def test_what_stays_anyway_needs_no_rule() -> None:
    found = header("KEEP PixelData", "KEEP Rows", "ADD PatientIdentityRemoved YES")
    assert not found.rules
    assert not found.unmapped
    assert [one.line for one in found.changed] == [5]


def test_groups_of_fields() -> None:
    found = import_recipe(
        "FORMAT dicom\n%fields who\nFIELD PatientID\nFIELD startswith:OtherPatient\n"
        "%header\nREMOVE fields:who\n"
    )
    assert not found.unmapped
    assert outcome(found, "OtherPatientNames") == (Action.REMOVE, None)
    assert outcome(found, "PatientID") == (Action.REMOVE, None)


@pytest.mark.parametrize(
    "line",
    [
        "REPLACE StudyDescription var:x", "REPLACE PatientID func:f", "REMOVE ALL func:is_name",
        "REMOVE values:who", "REMOVE ALL values:who", "JITTER StudyDate", "JITTER StudyDate soon",
        "REPLACE PatientID", "BLANK OrdValue", "REMOVE fields:nobody", "REMOVE endswith:Xyzzy",
        "REMOVE contains:(", "REMOVE select:color:red", "REMOVE near:Date", "FROB PatientID",
        "REPLACE StudyDate Anonymous", "REPLACE PatientID deid_func:other",
        "REPLACE StudyDate deid_func:jitter years=1", "REMOVE PixelData", "REMOVE",
        "REMOVE StudyDescription like:x", "REMOVE StudyDescription contains:(",
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_listed_with_its_line(line: str) -> None:
    found = header("KEEP Modality", line)
    assert [one.line for one in found.unmapped] == [4]
    assert found.unmapped[0].why
    assert len(found.rules.rules) == 1


def test_every_line_of_other_sections_is_listed() -> None:
    found = import_recipe(
        "FORMAT dicom\n\n%filter graylist\nLABEL CT Dose Series\n  contains Modality CT\n"
        "  + contains Manufacturer GE\n  coordinates 0,0,512,200\n%values who\n"
        "SPLIT PatientName splitval='^'\n%labels\nADD x y\n%other\nz\n"
    )
    assert [one.line for one in found.unmapped] == [4, 5, 6, 7, 9, 11, 12, 13]
    assert "pixel template" in found.unmapped[3].why


@pytest.mark.parametrize("text", ["", "%header\nKEEP Modality", "FORMAT nifti\n%header"])
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="FORMAT dicom"):
        import_recipe(text)
