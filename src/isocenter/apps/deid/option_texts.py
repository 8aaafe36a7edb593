"""What each choice of a project means, for people who know no tag numbers: the form, the summary
and the API say the same. One sentence each about what stays or goes."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.core.deid.policy import Option
from isocenter.core.deid.rules.presets import PRESETS


@dataclass(frozen=True)
class Choice:
    """One choice.

    Attributes:
        title: a few words.
        text: what stays or goes with it.
    """

    title: str
    text: str


#: What may stay although the Basic Profile takes it out (PS3.15 E.3.5 to E.3.11).
RETAINED: dict[Option, Choice] = {
    Option.RETAIN_PATIENT_CHARACTERISTICS: Choice(
        "What the patient is like",
        "Sex, age, height, weight, ethnic group, smoking and pregnancy stay; ages above 89 become "
        "90. Without it they go.",
    ),
    Option.RETAIN_DEVICE_IDENTITY: Choice(
        "Which device it was",
        "Station names, serial numbers and device IDs stay. Without it they go; maker, model and "
        "software version stay in any case.",
    ),
    Option.RETAIN_INSTITUTION_IDENTITY: Choice(
        "Which institution it was",
        "Name, address and department of the institution stay. Without it they go.",
    ),
    Option.RETAIN_UIDS: Choice(
        "Original UIDs",
        "The numbers that name studies, series and images stay, so whoever has the originals can "
        "find the patient by them. Without it each becomes another, the same wherever it stands.",
    ),
    Option.RETAIN_SAFE_PRIVATE: Choice(
        "Private attributes that are known to be safe",
        "What makers add and the standard lists as safe stays, such as SUV factors, scale slopes "
        "and table speeds. Without it every private attribute goes.",
    ),
}

#: What stays as text, with what identifies taken out of it (PS3.15 E.3.3 to E.3.6).
CLEANED: dict[Option, Choice] = {
    Option.CLEAN_DESCRIPTORS: Choice(
        "Descriptions and names of structures",
        "Study, series and protocol descriptions, names of contours and comments stay, without "
        "names, numbers, dates and words that nobody knows. Without it they go.",
    ),
    Option.CLEAN_STRUCTURED_CONTENT: Choice(
        "Structured reports",
        "Measurements and codes of reports (SR) stay and their texts are cleaned. Without it a "
        "text that says nothing stands in place of each text.",
    ),
    Option.CLEAN_GRAPHICS: Choice(
        "Drawings and annotations",
        "Annotations of presentation states stay, cleaned; overlays stay where text is searched "
        "in pictures. Without it texts of annotations are replaced and overlays go.",
    ),
}

DATES: dict[str, Choice] = {
    "remove": Choice(
        "Take them out",
        "Dates and times of study, series and images go. What follows what cannot be told.",
    ),
    "shift": Choice(
        "Move them",
        "All dates of a patient are moved by the same secret number of days, 1 to 365 into the "
        "past. Times of day and intervals in days stay.",
    ),
    "keep": Choice(
        "Leave them as they are",
        "Real dates and times leave. In many countries such data still count as identified.",
    ),
}
WHOLE_WEEKS = Choice("By whole weeks", "Monday stays Monday.")
KEEP_AGES = Choice(
    "Move the birth date too",
    "The birth date is moved by the same days, so the age at each study can be reckoned. Without "
    "it the birth date is emptied.",
)

PIXELS: dict[str, Choice] = {
    "off": Choice(
        "Do not look at pictures",
        "Names that stand in the picture itself leave with it. Right for CT, MR and PET without "
        "screen captures, not for ultrasound.",
    ),
    "templates": Choice(
        "Blacken where known devices write",
        "Places where known devices write a name become black. A picture that can carry text, of "
        "a device that is not known, is held back.",
    ),
    "ocr": Choice(
        "Search text and blacken it",
        "Each picture that can carry text is searched, and every text found becomes black. Needs "
        "the extra deid-ocr on the server; what cannot be searched is held back.",
    ),
}
FACES: dict[str, Choice] = {
    "ignore": Choice(
        "Leave heads as they are", "A face can be drawn from thin slices of a head CT or MR."
    ),
    "refuse": Choice("Hold heads back", "CT and MR images of the head do not leave."),
    "deface": Choice(
        "Take faces away",
        "The front of the face becomes air; ears and skull stay. It makes recognition harder, it "
        "is no proof against it.",
    ),
}
DOCUMENTS: dict[str, Choice] = {
    "refuse": Choice(
        "Hold them back", "A PDF or CDA report in a study is held back, and the reason is said."
    ),
    "drop": Choice(
        "Leave them out", "A PDF or CDA report is left out, the rest of the study leaves."
    ),
}

PSEUDONYMS: dict[str, Choice] = {
    "keyed": Choice(
        "Computed",
        "16 letters and digits, computed from the patient ID with the project's secret: always "
        "the same, nothing to keep.",
    ),
    "pattern": Choice(
        "Counted", "By a pattern of yours, such as BERN_0001, BERN_0002 in the order they come."
    ),
    "given": Choice(
        "From a list",
        "Only patients in the list that you import get a pseudonym; studies of others are held "
        "back.",
    ),
}
REMEMBER = Choice(
    "Remember whose each one is",
    "Then somebody with the right can look up whom a pseudonym belongs to. Without it nobody can.",
)
WHOLE_STUDIES = Choice(
    "Whole studies only",
    "One object that must not leave holds its whole study back. Without it the rest leaves.",
)

_PRESETS = {
    "netrt": Choice("As NETRT", "What NETRT removes and empties as it is shipped."),
    "editor-17": Choice(
        "The 17 fields of the anonymisation editor",
        "The fields that the editor of Servicio-Web changes.",
    ),
}


def presets() -> dict[str, Choice]:
    """Rule sets that come with Isocenter; one that has no text here stands by its name."""
    return {name: _PRESETS.get(name, Choice(name, "")) for name in PRESETS}
