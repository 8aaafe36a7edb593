"""A policy as people read it: what stays, what is changed, what goes, what is held back."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.apps.deid.documents import ProjectDocument, policy_of
from isocenter.apps.deid.fates import Fate, Outcome, outcome
from isocenter.apps.deid.option_texts import DATES, FACES, PIXELS
from isocenter.core.deid.pixels import ocr
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.standard.dictionary import tag_of_keyword

_CT = "1.2.840.10008.5.1.4.1.1.2"
_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
_REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
_OVERLAY_DATA = 0x60003000


@dataclass(frozen=True)
class Topic:
    """Something that people ask about, and the attribute that stands for it."""

    title: str
    tag: int
    sop_class_uid: str = _CT


@dataclass(frozen=True)
class Line:
    """One line of a summary."""

    title: str
    fate: Fate
    text: str
    rule: str = ""
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """A policy in words.

    Attributes:
        stays, changed, goes: what becomes of what is asked about most.
        called: what patients are called, with an example.
        held: what does not leave at all.
        warnings: what the reader should know before they rely on it.
    """

    stays: tuple[Line, ...]
    changed: tuple[Line, ...]
    goes: tuple[Line, ...]
    called: str
    held: tuple[str, ...]
    warnings: tuple[str, ...]


def _topic(title: str, keyword: str, sop_class_uid: str = _CT) -> Topic:
    return Topic(title, tag_of_keyword(keyword), sop_class_uid)


TOPICS = (
    _topic("Patient's name", "PatientName"),
    _topic("Patient ID", "PatientID"),
    _topic("Birth date", "PatientBirthDate"),
    _topic("Sex", "PatientSex"),
    _topic("Age", "PatientAge"),
    _topic("Weight", "PatientWeight"),
    _topic("Address and telephone", "PatientAddress"),
    _topic("Accession number", "AccessionNumber"),
    _topic("Referring physician", "ReferringPhysicianName"),
    _topic("Operators", "OperatorsName"),
    _topic("Institution", "InstitutionName"),
    _topic("Date of the study", "StudyDate"),
    _topic("Time of the study", "StudyTime"),
    _topic("Study description", "StudyDescription"),
    _topic("Series description", "SeriesDescription"),
    _topic("Name of the protocol", "ProtocolName"),
    _topic("Names of contours", "ROIName", _STRUCTURES),
    _topic("Comments", "ImageComments"),
    _topic("Maker and model", "ManufacturerModelName"),
    _topic("Serial number of the device", "DeviceSerialNumber"),
    _topic("Settings such as kV and slice thickness", "SliceThickness"),
    _topic("UIDs of study, series and images", "StudyInstanceUID"),
    _topic("Content of structured reports", "ContentSequence", _REPORT),
    _topic("Annotations", "GraphicAnnotationSequence", _PRESENTATION),
    Topic("Overlays", _OVERLAY_DATA),
)


def summary(document: ProjectDocument) -> Summary:
    """What a project wants in words; made by asking the engine about each topic.

    Raises:
        ProjectProblems: the document cannot be used.
    """
    policy = policy_of(document)
    lines = [
        _line(topic.title, outcome(policy, topic.sop_class_uid, topic.tag)) for topic in TOPICS
    ]
    lines += [_private(policy), _pixels(policy), _faces(policy)]

    def those(fate: Fate) -> tuple[Line, ...]:
        return tuple(line for line in lines if line.fate is fate)

    return Summary(
        those(Fate.STAYS),
        those(Fate.CHANGED),
        those(Fate.GOES),
        _called(document),
        _held(document),
        _warnings(policy),
    )


def in_brief(document: ProjectDocument) -> str:
    """One line for a list.

    Raises:
        ProjectProblems: the document cannot be used.
    """
    policy = policy_of(document)
    parts = ["Basic profile", f"dates {_DATES[policy.dates]}", _PIXELS[policy.pixels]]
    # What dates, pixels and faces imply is said by them.
    chosen = sorted(str(option) for option in policy.options if option in _SAID)
    if policy.faces != "ignore":
        parts.append(f"faces {_FACES[policy.faces]}")
    if policy.rules:
        count = len(policy.rules.rules)
        parts.append(f"{count} own rule{'' if count == 1 else 's'}")
    return ", ".join([*parts, *(_SAID[Option(name)] for name in chosen)])


_DATES = {"remove": "removed", "shift": "moved", "keep": "kept"}
_PIXELS = {
    "off": "pictures not looked at",
    "templates": "pictures blackened where devices write",
    "ocr": "pictures searched for text",
}
_FACES = {"refuse": "held back", "deface": "taken away"}
_SAID = {
    Option.RETAIN_PATIENT_CHARACTERISTICS: "keeps patient characteristics",
    Option.RETAIN_DEVICE_IDENTITY: "keeps devices",
    Option.RETAIN_INSTITUTION_IDENTITY: "keeps institution",
    Option.RETAIN_UIDS: "keeps UIDs",
    Option.RETAIN_SAFE_PRIVATE: "keeps safe private",
    Option.CLEAN_DESCRIPTORS: "cleans descriptions",
    Option.CLEAN_STRUCTURED_CONTENT: "cleans reports",
    Option.CLEAN_GRAPHICS: "cleans annotations",
}


def _line(title: str, found: Outcome) -> Line:
    return Line(title, found.fate, found.text, found.rule, found.unless)


def _private(policy: Policy) -> Line:
    listed = bool(policy.private_keep)
    if Option.RETAIN_SAFE_PRIVATE in policy.options:
        more = " and those of your list" if listed else ""
        text = f"removed, but for those that are known to be safe{more}"
    else:
        text = "removed, but for those of your list" if listed else "removed"
    # One may stay; the fate is that of the rest.
    return Line("Private attributes", Fate.GOES, text)


def _pixels(policy: Policy) -> Line:
    title = "Text in pictures"
    if policy.pixels == "off":
        return Line(title, Fate.STAYS, "left in: pictures are not looked at")
    found = "known devices write" if policy.pixels == "templates" else "text is found"
    return Line(title, Fate.GOES, f"blackened where {found}")


def _faces(policy: Policy) -> Line:
    title = "Faces in CT and MR of the head"
    if policy.faces == "ignore":
        return Line(title, Fate.STAYS, "left in: they can be drawn from thin slices")
    if policy.faces == "refuse":
        return Line(title, Fate.GOES, "held back with their images")
    return Line(title, Fate.CHANGED, "made harder to recognise: the front becomes air")


def _called(document: ProjectDocument) -> str:
    pseudonyms = document.pseudonyms
    if pseudonyms.kind == "keyed":
        return "16 letters and digits each, such as 7G2KX0M4R9ADT3WE"
    if pseudonyms.kind == "given":
        return "as your list says"
    first, second = (
        pseudonyms.pattern.format(site=pseudonyms.site, counter=number, StudyDate="20240131")
        for number in (pseudonyms.first, pseudonyms.first + 1)
    )
    return f"{first}, {second} and so on, in the order they come"


def _held(document: ProjectDocument) -> tuple[str, ...]:
    held = ["studies in which something of the patient is still found when the result is searched"]
    if document.pseudonyms.kind == "given":
        held.append("studies of patients who are not in your list")
    else:
        held.append("studies without a patient ID, unless a list of yours names them")
    if document.documents == "refuse":
        held.append("PDF and CDA documents")
    if document.pixels != "off":
        held.append("pictures that can carry text and cannot be inspected")
    if document.faces == "refuse":
        held.append("CT and MR images of the head")
    if document.whole_studies:
        held.append("the whole study of each object that is held back")
    return tuple(held)


def _warnings(policy: Policy) -> tuple[str, ...]:
    found = []
    if policy.dates == "keep":
        found.append(f"{DATES['keep'].title}: {DATES['keep'].text}")
    if policy.pixels == "off":
        found.append(f"{PIXELS['off'].title}: {PIXELS['off'].text}")
    if policy.pixels == "ocr" and (missing := ocr.available()):
        found.append(f"Text cannot be searched on this server yet, so pictures are held: {missing}")
    if Option.RETAIN_UIDS in policy.options:
        found.append("Original UIDs stay: whoever has the originals can find the patient by them.")
    if policy.faces == "deface":
        found.append(f"{FACES['deface'].title}: {FACES['deface'].text}")
    return tuple(found)
