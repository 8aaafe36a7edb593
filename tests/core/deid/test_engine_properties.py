"""For any data set: no identifier survives, references stay whole, intervals stay, the same again.

The data sets nest sequences, have private blocks, repeating groups, every VR and every character
set; identity is planted in the attributes that hold it and in any text beside them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.core.deid.engine import Context, deidentify_object
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.identifiers import collect
from isocenter.core.deid.proof.verifier import DUMMY_DAYS, Allowed, verify
from isocenter.core.deid.pseudonyms.dates import shift_date
from isocenter.core.deid.pseudonyms.secrets import Secret, is_standard_uid
from isocenter.core.deid.standard.keep_list import keep_list
from isocenter.core.dicom.quiet import quiet_pydicom

SECRET = Secret(b"a secret for tests, of 256 bits.")
SOP_CLASSES = [
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
    "1.2.840.10008.5.1.4.1.1.88.33",  # SR
    "1.2.840.10008.5.1.4.1.1.481.3",  # RTSTRUCT
    "1.2.840.10008.5.1.4.1.1.66.4",  # SEG
    "1.3.12.2.1107.5.9.1",  # private
]
NAMES = {  # character set → family and given name
    "ISO_IR 192": ("Übelacker", "Żaneta"),
    "ISO_IR 100": ("Größmann", "Ægir"),
    "ISO_IR 144": ("Люкceмбypг", "Иван"),
    "ISO_IR 126": ("Διονυσιος", "Αλέκος"),
    "GB18030": ("王小东", "李"),
    "ISO_IR 6": ("Quackenbush", "Zelda"),
}
ID, ACCESSION, PHONE, HOSPITAL = "QX4711-88", "ACC990011", "+49 6221 998877", "Xylographenspital"
BIRTH, STUDY = date(1957, 3, 19), date(2021, 11, 8)
OLD_UIDS = [f"1.2.826.0.1.987654.{number}.77" for number in range(12)]
_ENGINE = {0x00080005, 0x00080016, 0x00080018, 0x00100010, 0x00100020, 0x00420011}
_VRS = (
    "LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS", "AE", "UR", "DA", "DT", "TM", "UI",
    "DS", "IS", "AS", "US", "FD", "OB", "SQ",
)  # fmt: skip
_TAGS = {
    vr: sorted(
        tag
        for tag, entry in DicomDictionary.items()
        if entry[0] == vr and 0x0008 <= tag >> 16 < 0x5000 and tag not in _ENGINE
    )
    for vr in _VRS
}
#: Attributes of every object here that come with any VR; UN is what the writer did not know.
IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber",
    "InstitutionName", "StudyInstanceUID",
)  # fmt: skip
_OTHER_VRS = ("LO", "SH", "ST", "LT", "UT", "UC", "CS", "AE", "UR", "OB", "UN")
OPTIONS = [option for option in Option if not option.value.startswith("retain-")]


@st.composite
def text_values(draw: st.DrawFn, family: str, given_name: str) -> str:
    """Identity, alone or in a sentence."""
    planted = draw(
        st.sampled_from(
            [
                family,
                f"{family}^{given_name}",
                family.upper(),
                given_name + family,
                f"{family}, {given_name}",
                ID,
                ACCESSION,
                STUDY.strftime("%d.%m.%Y"),
                STUDY.strftime("%d %b %Y"),
                STUDY.strftime("%m/%d/%Y"),
                STUDY.strftime("%Y年%m月%d日") if "王" in family else f"{STUDY:%Y/%m/%d}",
                BIRTH.strftime("%Y-%m-%d"),
                BIRTH.strftime("%Y%m%d"),
                HOSPITAL,
                OLD_UIDS[1],
            ]
        )
    )
    before = draw(st.sampled_from(["", "CT of ", "seen: ", "(", "chest/"]))
    after = draw(st.sampled_from(["", " thorax", ", 3", ")", ". Lungs clear"]))
    return before + planted + after


@st.composite
def values(draw: st.DrawFn, vr: str, names: tuple[str, str]) -> object:
    if vr in ("LO", "SH", "ST", "LT", "UT", "UC"):
        text = draw(text_values(*names))
        return text[:16] if vr == "SH" else text[:64]
    if vr == "PN":
        return "^".join(names)
    if vr in ("CS", "AE"):
        return draw(st.sampled_from(["AXIAL", ID, ACCESSION]))
    if vr == "UR":
        return f"https://pacs.example/{ID}"
    if vr == "UI":
        return draw(st.sampled_from(OLD_UIDS))
    if vr == "DA":
        return draw(st.sampled_from([STUDY, BIRTH, STUDY + timedelta(3)])).strftime("%Y%m%d")
    if vr == "DT":
        return STUDY.strftime("%Y%m%d") + "101112.5"
    numbers = {"TM": "101112", "DS": "1.5", "IS": "7", "AS": "091Y", "US": 3, "FD": 2.5}
    return numbers.get(vr, ID.encode() + b"!")


@st.composite
def data_sets(draw: st.DrawFn, names: tuple[str, str], depth: int = 0) -> Dataset:
    dataset = Dataset()
    for vr in draw(st.lists(st.sampled_from(sorted(_TAGS)), min_size=1, max_size=10 - 3 * depth)):
        tag = draw(st.sampled_from(_TAGS[vr]))
        if keep_list().get(tag) == "class_uid":
            dataset.add_new(tag, vr, draw(st.sampled_from([OLD_UIDS[0], SOP_CLASSES[0]])))
        elif vr != "SQ":
            dataset.add_new(tag, vr, draw(values(vr, names)))
        elif depth < 2:
            items = draw(st.lists(data_sets(names, depth + 1), max_size=2))
            dataset.add_new(tag, "SQ", Sequence(items))
            dataset[tag].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        block = dataset.private_block(0x0029, draw(st.sampled_from(["ACME", ID])), create=True)
        for element, vr in ((1, "LO"), (2, "OB"), (3, "UN"), (4, "PN"), (5, "UI")):
            value = draw(values("LO" if vr == "UN" else vr, names))
            block.add_new(element, vr, value.encode() if vr == "UN" else value)  # type: ignore[attr-defined]
    return dataset


def rewrite(dataset: Dataset, keyword: str, vr: str) -> None:
    """Give an attribute another VR, where its text can be written with that."""
    value = str(dataset[keyword].value)
    if vr in ("OB", "UN"):
        codec = pydicom.charset.python_encoding[dataset.SpecificCharacterSet]
        encoded = value.encode(codec)
        dataset.add_new(dataset[keyword].tag, vr, encoded + b" " * (len(encoded) % 2))
    elif value.isascii() or vr not in ("CS", "AE", "UR"):
        dataset.add_new(dataset[keyword].tag, vr, value)


@st.composite
def objects(draw: st.DrawFn) -> Dataset:
    character_set = draw(st.sampled_from(sorted(NAMES)))
    names = NAMES[character_set]
    dataset = draw(data_sets(names))
    dataset.SpecificCharacterSet = character_set
    dataset.SOPClassUID = draw(st.sampled_from(SOP_CLASSES))
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = OLD_UIDS[:3]
    dataset.PatientName, dataset.PatientID = "^".join(names), ID
    dataset.PatientBirthDate, dataset.StudyDate = f"{BIRTH:%Y%m%d}", f"{STUDY:%Y%m%d}"
    dataset.AccessionNumber, dataset.InstitutionName = ACCESSION, HOSPITAL
    dataset.ReferencedImageSequence = Sequence([Dataset()])
    dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = OLD_UIDS[0]
    for keyword in draw(st.lists(st.sampled_from(IDENTIFYING), unique=True)):
        rewrite(dataset, keyword, draw(st.sampled_from(_OTHER_VRS)))
    if draw(st.booleans()):
        dataset.add_new(0x60020022, "LO", HOSPITAL)
        dataset.add_new(0x60024000, "LT", ID)
        dataset.add_new(0x50004000 + 0x0000, "LT", ID)
    return dataset


def policies() -> st.SearchStrategy[Policy]:
    return st.builds(
        Policy,
        st.frozensets(st.sampled_from([*OPTIONS, Option.RETAIN_SAFE_PRIVATE])),
        dates=st.sampled_from(["remove", "shift"]),
    )


def all_policies() -> st.SearchStrategy[Policy]:
    """With everything that can be retained, too."""
    dates = {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}
    faces = {Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES}
    return st.builds(
        Policy,
        st.frozensets(st.sampled_from(sorted(set(Option) - dates - faces))),
        dates=st.sampled_from(["remove", "shift", "keep"]),
        keep_ages=st.booleans(),
    )


# Identity where its VR does not allow it is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore")

Encode = Callable[..., bytes]
MakeContext = Callable[..., Context]
several = settings(
    max_examples=int(os.environ.get("DEID_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def run(
    dataset: Dataset, policy: Policy, syntax: str, encode: Encode, context: MakeContext, at: Path
) -> tuple[bytes, Dataset]:
    old, new = at / "old.dcm", at / "new.dcm"
    with quiet_pydicom():
        old.write_bytes(encode(dataset, syntax))
        result = deidentify_object(old, new, context(collect([old]), policy), durable=False)
        assert result.refused is None
        written = new.read_bytes()
        again = deidentify_object(old, new, context(collect([old]), policy), durable=False)
        assert new.read_bytes() == written
        assert again == result
        return written, pydicom.dcmread(new)


def forms(dataset: Dataset, dates: str) -> list[bytes]:
    """The identifiers as bytes in the character sets that the object can be written in."""
    family, given_name = NAMES[dataset.SpecificCharacterSet]
    words = [family, family.upper(), ID, ACCESSION, HOSPITAL, f"{BIRTH:%Y%m%d}", *OLD_UIDS]
    words += [f"{STUDY:%Y%m%d}", f"{STUDY:%d.%m.%Y}", f"{STUDY:%d %b %Y}", f"{BIRTH:%Y-%m-%d}"]
    if len(given_name) > 3:
        words.append(given_name)
    codec = pydicom.charset.python_encoding[dataset.SpecificCharacterSet]
    found = {word.encode(one) for word in words for one in {codec, "utf-8"}}
    return [form for form in found if len(form) >= 4]


@several
@given(dataset=objects(), policy=policies(), explicit=st.booleans())
def test_no_identifier_survives(
    dataset: Dataset,
    policy: Policy,
    explicit: bool,
    encode: Encode,
    context: MakeContext,
    tmp_path: Path,
) -> None:
    syntax = "1.2.840.10008.1.2.1" if explicit else "1.2.840.10008.1.2"
    searched = forms(dataset, policy.dates)
    written, new = run(dataset, policy, syntax, encode, context, tmp_path)
    for form in searched:
        # A shifted date can be another date of the study; an identifier ends at its token.
        hit = re.search(rb"(?<![0-9A-Za-z.])" + re.escape(form) + rb"(?![0-9A-Za-z.])", written)
        assert hit is None or (policy.dates == "shift" and form.isdigit()), form
    assert not [e for e in new if e.tag.group in (0x6002, 0x5000)]


@several
@given(dataset=objects(), policy=all_policies(), explicit=st.booleans())
def test_the_verifier_has_nothing_to_say(
    dataset: Dataset,
    policy: Policy,
    explicit: bool,
    encode: Encode,
    context: MakeContext,
    tmp_path: Path,
) -> None:
    """It reads by itself and searches by its own rules; a clean study is not held."""
    syntax = "1.2.840.10008.1.2.1" if explicit else "1.2.840.10008.1.2"
    run(dataset, policy, syntax, encode, context, tmp_path)
    identifiers = collect([tmp_path / "old.dcm"])
    made = context(identifiers, policy)
    days = {shift_date(day, made.patient.day_shift) or "" for day in identifiers.days}
    texts = frozenset((made.patient.patient_id, made.patient.patient_name))
    allowed = Allowed(texts, frozenset(days | DUMMY_DAYS))
    found = verify([tmp_path / "new.dcm"], identifiers, policy, allowed=allowed)
    assert [(finding.where, finding.kind) for finding in found] == []


@several
@given(dataset=objects(), policy=policies())
def test_references_stay_whole_and_types_present(
    dataset: Dataset, policy: Policy, encode: Encode, context: MakeContext, tmp_path: Path
) -> None:
    _, new = run(dataset, policy, "1.2.840.10008.1.2.1", encode, context, tmp_path)
    uids = [SECRET.uid(uid) for uid in OLD_UIDS[:3]]
    assert [new.SOPInstanceUID, new.StudyInstanceUID, new.SeriesInstanceUID] == uids
    assert new.ReferencedImageSequence[0].ReferencedSOPInstanceUID == uids[0]
    assert new.SOPClassUID == dataset.SOPClassUID
    for element in new.iterall():
        of_a_class = keep_list().get(element.tag) == "class_uid"  # kept, unless it is the study's
        if element.VR == "UI" and element.value and element.VM == 1 and not of_a_class:
            uid = str(element.value)
            assert is_standard_uid(uid) or uid.startswith("2.25.") or uid in SOP_CLASSES
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
        assert keyword in new
    assert (tags := [element.tag for element in new]) == sorted(tags)


@several
@given(
    days=st.lists(
        st.dates(date(1990, 1, 1), date(2025, 12, 31)).map(lambda day: day.strftime("%Y%m%d")),
        min_size=2,
        max_size=6,
    ),
    whole_weeks=st.booleans(),
    data=st.data(),
)
def test_intervals_in_days_are_unchanged(
    days: list[str],
    whole_weeks: bool,
    data: st.DataObject,
    encode: Encode,
    context: MakeContext,
    tmp_path: Path,
) -> None:
    dataset = data.draw(objects())
    keywords = ["SeriesDate", "AcquisitionDate", "ContentDate", "DateOfLastCalibration"]
    keywords += ["StudyVerifiedDate", "ExpiryDate"]
    for keyword, day in zip(keywords, days, strict=False):
        assert dictionary_VR(tag_for_keyword(keyword)) == "DA"
        setattr(dataset, keyword, day)
    policy = Policy(dates="shift", whole_weeks=whole_weeks)
    _, new = run(dataset, policy, "1.2.840.10008.1.2.1", encode, context, tmp_path)
    for keyword, day in zip(keywords, days, strict=False):
        moved = date.fromisoformat(day) + timedelta(-100)
        assert new[keyword].value == moved.strftime("%Y%m%d")
