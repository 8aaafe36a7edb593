"""CTP's anonymizer scripts: every function is mapped, or listed with its line and why not."""

from __future__ import annotations

import pytest

from isocenter.core.deid.importers import import_ctp
from isocenter.core.deid.importers.imported import Imported
from isocenter.core.deid.policy import Option
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.site_rules import RuleOutcome, RuleSet
from isocenter.core.deid.rules.tag_patterns import tag_of
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import ConfigurationError

SECRET = Secret(bytes(32))
ALIAS = PatientAlias("P-1", "P-1", -10)
PARAMETERS = """<p t="SITE">General</p><p t="DAYS">-7</p><p t="UIDROOT">1.2.3</p>"""


def imported(elements: str) -> Imported:
    return import_ctp(f"<script>{PARAMETERS}\n{elements}\n</script>")


def script(text: str, tag: str = "00104000", name: str = "PatientComments") -> Imported:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return imported(f'<e en="T" t="{tag}" n="{name}">{text}</e>')


def result(
    rules: RuleSet, keyword: str, value: str = "", vr: str = "LO", **others: str
) -> RuleOutcome | None:
    return rules.match(
        (tag_of(keyword),), keyword, vr, value, others.get, secret=SECRET, patient=ALIAS
    )


@pytest.mark.parametrize(
    ("text", "action", "value"),
    [
        ("", Action.EMPTY, None),
        ("@keep()", Action.KEEP, None),
        ("@remove()", Action.REMOVE, None),
        ("@empty()", Action.EMPTY, None),
        ("@blank(3)", Action.EMPTY, None),
        ("@require()", Action.KEEP, None),
        ("@always()@require()", Action.KEEP, None),
        ("@quarantine()", Action.REFUSE, None),
        ("@skip()", Action.REFUSE, None),
        ("plain text", Action.REPLACE, "plain text"),
        ("@always()fixed", Action.REPLACE, "fixed"),
        ("@param(@SITE)", Action.REPLACE, "General"),
        ("Site @param(@SITE) {1}", Action.REPLACE, "Site General {1}"),
        ("a\\@b", Action.REPLACE, "a@b"),
        ("@hash(this,8)", Action.HASH, SECRET.hash_text("Old 12", 8)),
        ("@hash(this)", Action.HASH, SECRET.digest("Old 12")),
        ("@hash(PatientID,8)", Action.REPLACE, SECRET.hash_text("A1", 8)),
        ("@hashname(this,6,2)", Action.HASH, SECRET.hash_text("Old 12", 6)),
        ("@hashptid(@SITE,PatientID,9)", Action.REPLACE, SECRET.hash_text("A1", 9)),
        ("@hashuid(@UIDROOT,this)", Action.UID, None),
        ("@hashuid(@UIDROOT,StudyInstanceUID)", Action.REPLACE, SECRET.uid("1.2.3")),
        ("@contents(this)", Action.KEEP, None),
        ("@contents(Modality)", Action.REPLACE, "CT"),
        ('@contents(this,"[0-9]+")', Action.REPLACE, "Old"),
        ('@contents(this,"([0-9])[0-9]","$1x")', Action.REPLACE, "Old 1x"),
        ("@value(Modality)", Action.REPLACE, "CT"),
        ('@value(this,"none")', Action.KEEP, None),
        ("@truncate(this,3)", Action.REPLACE, "Old"),
        ("@truncate(this,-2)", Action.REPLACE, "12"),
        ("@truncate(Modality,1)", Action.REPLACE, "C"),
        ("@append(){more}", Action.REPLACE, "Old 12\\more"),
        ('@if(Modality,equals,"ct"){@keep()}{@remove()}', Action.KEEP, None),
        ('@if(Modality,equals,"MR"){@keep()}{@remove()}', Action.REMOVE, None),
        ('@if(Modality,contains,"c"){@keep()}{@remove()}', Action.KEEP, None),
        ('@if(Modality,matches,"[CM][TR]"){@keep()}{@remove()}', Action.KEEP, None),
        ('@if(Modality,matches,"C"){@keep()}{@remove()}', Action.REMOVE, None),
        ("@if(StationName,exists){@keep()}{@remove()}", Action.REMOVE, None),
        ("@if(StationName,isblank){@keep()}{@remove()}", Action.KEEP, None),
        ("@if(SeriesNumber,greaterthan,100){@keep()}{@remove()}", Action.REMOVE, None),
        ("@if(this,isblank){@remove()}{x}", Action.REPLACE, "x"),
        ("@if(this,exists){x}{@remove()}", Action.REPLACE, "x"),
        ('@if(Modality,equals,"@SITE"){@keep()}{}', Action.EMPTY, None),
        (
            '@if(Modality,equals,"CT"){@if(this,contains,"old"){yes}{no}}{@remove()}',
            Action.REPLACE,
            "yes",
        ),
        ("@select(){root}{item}", Action.REPLACE, "root"),
    ],
)
def test_functions(text: str, action: Action, value: str | None) -> None:
    found = script(text)
    assert not found.unmapped
    others = {"Modality": "CT", "PatientID": "A1", "StudyInstanceUID": "1.2.3", "SeriesNumber": "5"}
    outcome = result(found.rules, "PatientComments", "Old 12", **others)
    assert outcome is not None
    new = None if outcome.value is None else outcome.value.strip()
    assert (outcome.action, new) == (action, value)
    assert RuleSet.from_yaml(found.rules.to_yaml()) == found.rules


def test_select_has_another_way_for_items() -> None:
    rules = script("@select(){root}{item}").rules
    path = (tag_of("RequestAttributesSequence"), tag_of("PatientComments"))
    found = rules.match(path, "", "LT", "x", {}.get, secret=SECRET, patient=ALIAS)
    assert found is not None
    assert found.value == "item"


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("@incrementdate(this,@DAYS)", "20200110", "20200103"),
        ("@incrementdate(this,3)", "20200110", "20200113"),
        ("@hashdate(this,PatientID)", "20200111", "20200101"),
        ("@modifydate(this,*,*,1)", "20200315", "20200301"),
        ("@modifydate(this,*,1,1)", "20200315", "20200101"),
        ("@modifydate(this,2000,*,*)", "20200315", "20000315"),
        ("@modifydate(this,2000,1,2)", "20200315", "20000102"),
    ],
)
def test_dates(text: str, value: str, expected: str) -> None:
    rules = script(text, "00080020", "StudyDate").rules
    outcome = result(rules, "StudyDate", value, "DA")
    assert outcome is not None
    assert outcome.value == expected


def test_ages_are_rounded() -> None:
    rules = script("@round(this,10)", "00101010", "PatientAge").rules
    outcome = result(rules, "PatientAge", "047Y", "AS")
    assert outcome is not None
    assert outcome.value == "050Y"


@pytest.mark.parametrize(
    "text",
    [
        "@lookup(this,ptid)", "@integer(this,x,4)", "@initials(this)", "@initials(this,3)",
        "@lowercase(this)", "@uppercase(this)", '@encrypt(this,"key")', '@decrypt(this,"key")',
        "@date()", "@time(:)", "@dateinterval(StudyDate,k,PatientID)", "@pathelement(this,1)",
        "@call(plugin)", "@param(@NOTHING)", "@nothing(this)", "@hash(", "@hash",
        "@hashuid(@UIDROOT,this,PatientID)", "@incrementdate(this,soon)", "@round(this,0)",
        "@incrementdate(StudyDate,1)", "@contents(NoSuchElement)", '@contents(this,"(")',
        '@contents(Modality,"a","b")', "@if(Modality,like,x){}{}", "@if(Modality){}{}",
        "@modifydate(StudyDate,*,*,1)", "@round(PatientAge,5)", "@append(){@date()}",
        '@if(Modality,matches,"("){a}{b}', "Run @date()",
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_listed_with_its_line(text: str) -> None:
    found = script(text)
    assert [one.line for one in found.unmapped] == [2]
    assert found.unmapped[0].why
    assert text[:20] in found.unmapped[0].text
    assert not found.rules


def test_a_lookup_of_the_patient_becomes_the_pseudonym() -> None:
    found = script("@lookup(this,ptid)", "00100020", "PatientID")
    outcome = result(found.rules, "PatientID", "A1")
    assert outcome == RuleOutcome(Action.PSEUDONYM, "P-1", "ctp line 2")
    assert "CSV" in found.changed[0].why


def test_elements_by_the_names_that_the_script_gives_them() -> None:
    found = imported(
        '<e en="F" t="00081070" n="OperatorName"></e>'
        '<e en="T" t="00104000" n="PatientComments">@contents(OperatorName)</e>'
    )
    outcome = result(found.rules, "PatientComments", "x", OperatorsName="Jo")
    assert outcome is not None
    assert outcome.value == "Jo"


def test_what_is_switched_off_does_nothing() -> None:
    found = imported(
        '<e en="F" t="00104000" n="PatientComments">@remove()</e><k en="F" t="0018" n=""/>'
        '<r en="F" t="overlays" n=""/><r en="T" t="privategroups" n=""/>'
    )
    assert not found.rules
    assert not found.unmapped
    assert not found.changed


def test_private_elements_by_their_creator() -> None:
    found = imported('<e en="T" t="0019[SIEMENS MR HEADER]0c" n="B">@keep()</e>')
    outcome = found.rules.match(
        (0x0019110C,), "", "IS", "1", {}.get, secret=SECRET, patient=ALIAS,
        creator="SIEMENS MR HEADER",
    )  # fmt: skip
    assert outcome is not None
    assert outcome.action is Action.KEEP


def test_groups_kept_overlays_curves_and_unchecked_elements() -> None:
    found = imported(
        '<e en="T" t="00080080" n="InstitutionName">@initials(this)</e>'
        '<e en="T" t="00081115" n="RefSeriesSeq">@process()</e>'
        '<k en="T" t="0018" n="x"/><k en="T" t="safeprivateelements" n="x"/>'
        '<r en="T" t="privategroups" n=""/><r en="T" t="overlays" n=""/>'
        '<r en="T" t="curves" n=""/><r en="T" t="unspecifiedelements" n=""/>'
    )
    assert found.options == {Option.RETAIN_SAFE_PRIVATE}

    def action(*tags: int) -> Action | None:
        outcome = found.rules.match(
            tags, "", "LO", "", {}.get, secret=SECRET, patient=ALIAS, creator=""
        )
        return outcome and outcome.action

    assert action(0x00181030) is Action.KEEP
    assert action(0x60003000) is Action.REMOVE
    assert action(0x50000010) is Action.REMOVE
    assert action(0x00080070) is Action.REMOVE
    assert action(0x00081115) is Action.KEEP
    assert action(0x00081115, 0x00080070) is Action.REMOVE  # in a sequence that is processed
    assert action(0x00400275, 0x00080100) is None  # in one that is not
    assert action(0x00080018) is None  # the profile makes a new UID
    assert action(0x00280030) is None
    assert action(0x00091001) is None  # private: the engine's default
    assert action(0x00080080) is None  # its script was not mapped: the profile decides
    assert [one.why for one in found.unmapped] == ["initials identify"]


def test_what_the_engine_writes_itself() -> None:
    found = imported(
        '<e en="T" t="00120062" n="PatientIdentityRemoved">@always()YES</e>'
        '<e en="T" t="00120063" n="M">@always()@append(){CTP @date()}</e>'
        '<e en="T" t="00120064" n="C">113100/113105/113107/999999</e>'
        '<e en="T" t="00080016" n="SOPClassUID">@keep()</e>'
        '<e en="T" t="00080005" n="SpecificCharacterSet">@remove()</e>'
    )
    assert found.options == {Option.CLEAN_DESCRIPTORS, Option.RETAIN_MODIFIED_DATES}
    assert not found.rules
    assert [one.why for one in found.unmapped] == [
        "999999 is no code of an option",
        "the object could not be read without it",
    ]


def test_a_value_that_the_vr_cannot_hold_is_listed() -> None:
    found = script("Anonymous", "00080020", "StudyDate")
    assert "no value of VR DA" in found.unmapped[0].why


def test_the_older_form_with_a_property_a_line() -> None:
    found = import_ctp(
        "# a comment\nparam.DAYS=-7\nset.[0008,0020]StudyDate=@incrementdate(this,@DAYS)\n"
        "#set.[0010,0010]PatientName=@keep()\nkeep.group0018=\nremove.privategroups=\n"
    )
    assert [rule.line for rule in found.rules.rules] == [3, 5]
    assert result(found.rules, "StudyDate", "20200110", "DA").value == "20200103"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    ["<script><e></script>", "<script>", "", "hello", '<!DOCTYPE a [<!ENTITY b "c">]><script/>'],
)
def test_what_is_no_script_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CTP script"):
        import_ctp(text)
