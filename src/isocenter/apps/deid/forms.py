"""The form of a project, its live checks, and the small forms of its map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from isocenter.apps.deid import option_texts as texts
from isocenter.apps.deid.documents import ProjectDocument, ProjectProblems, read_document
from isocenter.apps.deid.models import Project
from isocenter.apps.deid.option_texts import Choice
from isocenter.apps.deid.private_lines import read_private, write_private
from isocenter.apps.deid.projects import name_problem
from isocenter.apps.deid.queries import document_of
from isocenter.apps.deid.rule_problems import RuleProblem, rule_problems
from isocenter.core.deid.policy import Option

MOST_RULES = 1 << 20
MOST_FILE_BYTES = 15 << 20  # bodies of requests are bounded at 16
#: Keys of a document that a field of another name has.
_FIELD_OF = {
    "pseudonyms.kind": "pseudonym_kind",
    "pseudonyms.pattern": "pattern",
    "pseudonyms.site": "site",
    "pseudonyms.first": "first",
    "pseudonyms.remember": "remember",
}


def _plain(**attributes: str) -> dict[str, str]:
    return {"autocomplete": "off", "spellcheck": "false", **attributes}


def _label(choice: Choice) -> SafeString:
    return format_html(
        '{}<span class="form-check-description">{}</span>', choice.title, choice.text
    )


def _one_of(label: str, choices: Mapping[str, Choice], initial: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        choices=[(value, _label(choice)) for value, choice in choices.items()],
        initial=initial,
        widget=forms.RadioSelect,
    )


def _some_of(label: str, choices: Mapping[Any, Choice]) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label,
        required=False,
        choices=[(str(value), _label(choice)) for value, choice in choices.items()],
        widget=forms.CheckboxSelectMultiple,
    )


def _box(choice: Choice, *, initial: bool = False) -> forms.BooleanField:
    return forms.BooleanField(
        required=False, label=choice.title, help_text=choice.text, initial=initial
    )


class ProjectForm(forms.Form):
    """Name, description and document of a project. What is wrong stands at its field."""

    name = forms.CharField(
        max_length=64,
        help_text="Pipelines and people call it so; it stays. Letters, digits, - and _.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    description = forms.CharField(
        required=False,
        max_length=1000,
        help_text="What it is for, such as the title and number of the trial.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"}),
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    retained = _some_of("May leave as it is", texts.RETAINED)
    cleaned = _some_of("May leave when it is cleaned", texts.CLEANED)
    dates = _one_of("What becomes of dates and times", texts.DATES, "remove")
    whole_weeks = _box(texts.WHOLE_WEEKS)
    keep_ages = _box(texts.KEEP_AGES)
    pixels = _one_of("Text that stands in pictures", texts.PIXELS, "off")
    faces = _one_of("Faces in CT and MR of the head", texts.FACES, "ignore")
    documents = _one_of("PDF and CDA documents", texts.DOCUMENTS, "refuse")
    whole_studies = _box(texts.WHOLE_STUDIES, initial=True)

    pseudonym_kind = _one_of("Where pseudonyms come from", texts.PSEUDONYMS, "keyed")
    remember = _box(texts.REMEMBER, initial=True)
    pattern = forms.CharField(
        required=False,
        max_length=200,
        initial="{site}_{counter:04}",
        help_text="{site}, {counter:04} (four digits) and {StudyDate} are filled in.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    site = forms.CharField(
        required=False,
        max_length=64,
        help_text="What {site} stands for, such as BERN.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    first = forms.IntegerField(
        required=False, min_value=0, max_value=10**12, initial=1, label="First number"
    )

    presets = _some_of("Rules that come with Isocenter", texts.presets())
    rules = forms.CharField(
        required=False,
        max_length=MOST_RULES,
        strip=False,
        label="Rules of your own (YAML)",
        help_text="They go before everything above; the first that fits decides.",
        widget=forms.Textarea(attrs=_plain(rows="10", dir="ltr", autocapitalize="off", wrap="off")),
    )
    private_keep = forms.CharField(
        required=False,
        max_length=100_000,
        strip=False,  # lines are counted
        label="Private attributes that stay",
        help_text="One a line: group, element and maker, such as 0019,xx0c SIEMENS MR HEADER. "
        "Without an element the maker's whole block stays.",
        widget=forms.Textarea(attrs=_plain(rows="3", dir="ltr", autocapitalize="off")),
    )
    words = forms.CharField(
        required=False,
        max_length=1_000_000,
        label="Words that texts may keep",
        help_text="One a line. Cleaned texts keep words of radiology and these; never names.",
        widget=forms.Textarea(attrs=_plain(rows="3", dir="auto", autocapitalize="off")),
    )

    def __init__(self, *args: Any, project: Project | None = None, **kwargs: Any) -> None:
        if project is not None:
            own = {"name": project.name, "version": project.version}
            kwargs["initial"] = own | policy_fields(project)
        super().__init__(*args, **kwargs)
        self.read: ProjectDocument | None = None
        self.rule_problems: list[RuleProblem] = []
        self.was_changed = False  # by somebody else, while this was written
        if project is not None:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = ""

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if problem := name_problem(name):
            raise forms.ValidationError(f"{problem[:1].upper()}{problem[1:]}.")
        return name

    def clean_rules(self) -> str:
        """All mistakes at once, each with its line."""
        text = str(self.cleaned_data["rules"]).replace("\r\n", "\n")
        self.rule_problems = rule_problems(text)
        if self.rule_problems:
            raise forms.ValidationError([str(problem) for problem in self.rule_problems])
        return text if text.strip() else ""

    def clean_private_keep(self) -> list[dict[str, Any]]:
        found, problems = read_private(self.cleaned_data["private_keep"])
        if problems:
            raise forms.ValidationError(problems)
        return found

    def clean(self) -> dict[str, Any]:
        """The whole document is read as the services would read it."""
        cleaned = super().clean() or {}
        if self.errors.keys() - {"name", "description"}:
            return cleaned
        try:
            self.read = read_document(self.values())
        except ProjectProblems as problems:
            self.blame(problems)
        return cleaned

    def values(self) -> dict[str, Any]:
        """The document as plain values; what a choice does not use is left at its default."""
        given = self.cleaned_data
        is_shifted = given["dates"] == "shift"
        return {
            "options": sorted([*given["retained"], *given["cleaned"]]),
            "dates": given["dates"],
            "whole_weeks": is_shifted and given["whole_weeks"],
            "keep_ages": is_shifted and given["keep_ages"],
            "pixels": given["pixels"],
            "faces": given["faces"],
            "documents": given["documents"],
            "presets": given["presets"],
            "rules": given["rules"],
            "private_keep": given["private_keep"],
            "words": [word for line in given["words"].splitlines() if (word := line.strip())],
            "pseudonyms": self._pseudonyms(),
            "whole_studies": given["whole_studies"],
        }

    def _pseudonyms(self) -> dict[str, Any]:
        given = self.cleaned_data
        kind = given["pseudonym_kind"]
        if kind == "keyed":
            return {"kind": kind, "remember": given["remember"]}
        if kind == "given":
            return {"kind": kind}
        first = given.get("first")
        return {
            "kind": kind,
            "pattern": given["pattern"],
            "site": given["site"],
            "first": 1 if first is None else first,
        }

    @property
    def document(self) -> ProjectDocument:
        """What was read; only of a form that is valid."""
        assert self.read is not None
        return self.read

    def blame(self, problems: ProjectProblems) -> None:
        """Put what the document's reader found at its fields."""
        for key, text in problems.problems.items():
            field = _field_of(key)
            said = f"{text[:1].upper()}{text[1:]}"
            self.add_error(field if field in self.fields else None, said)


def _field_of(key: str) -> str:
    if key in _FIELD_OF:
        return _FIELD_OF[key]
    field = key.partition("[")[0].partition(".")[0]
    return {"options": "retained"}.get(field, field)


def policy_fields(project: Project) -> dict[str, Any]:
    """The fields that another project can begin with."""
    document = document_of(project)
    chosen = {str(option) for option in document.options}
    pseudonyms = document.pseudonyms
    return {
        "description": project.description,
        "retained": [str(option) for option in texts.RETAINED if str(option) in chosen],
        "cleaned": [str(option) for option in texts.CLEANED if str(option) in chosen],
        "dates": _dates(document),
        "whole_weeks": document.whole_weeks,
        "keep_ages": document.keep_ages,
        "pixels": document.pixels,
        "faces": document.faces,
        "documents": document.documents,
        "whole_studies": document.whole_studies,
        "pseudonym_kind": pseudonyms.kind,
        "remember": pseudonyms.remember,
        "pattern": pseudonyms.pattern,
        "site": pseudonyms.site,
        "first": pseudonyms.first,
        "presets": list(document.presets),
        "rules": document.rules,
        "private_keep": write_private(document.private_keep),
        "words": "\n".join(document.words),
    }


def _dates(document: ProjectDocument) -> str:
    """What becomes of dates: an option may say it too."""
    if Option.RETAIN_MODIFIED_DATES in document.options:
        return "shift"
    return "keep" if Option.RETAIN_FULL_DATES in document.options else document.dates


class LookUpForm(forms.Form):
    """Who is behind a pseudonym, or which pseudonym somebody has: one of the two."""

    pseudonym = forms.CharField(
        required=False,
        max_length=64,
        help_text="As it stands in the images that left.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    patient_id = forms.CharField(
        required=False,
        max_length=64,
        label="or patient ID",
        help_text="As it stands in the originals.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )
    issuer = forms.CharField(
        required=False,
        max_length=64,
        label="Issuer of that ID",
        help_text="Empty: whichever.",
        widget=forms.TextInput(attrs=_plain(dir="ltr")),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        given = [key for key in ("pseudonym", "patient_id") if cleaned.get(key)]
        if not self.errors and len(given) != 1:
            text = "Give either a pseudonym or a patient ID." if given else "Give one of the two."
            self.add_error("pseudonym", text)
        return cleaned


class ImportMapForm(forms.Form):
    """A list of pseudonyms: CSV, or NETRT's ``pid_mapping.json``."""

    upload = forms.FileField(
        label="A file",
        help_text="CSV with the columns PatientID and Pseudonym, and if wanted IssuerOfPatientID, "
        "StudyInstanceUID, PseudonymName, DayShift; or NETRT's pid_mapping.json.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.json,text/csv,application/json"}),
    )

    def clean_upload(self) -> Any:
        upload = self.cleaned_data["upload"]
        if upload.size > MOST_FILE_BYTES:
            raise forms.ValidationError(f"It is larger than {MOST_FILE_BYTES >> 20} MB.")
        return upload

    @property
    def is_netrt(self) -> bool:
        """Whether it is JSON by its name."""
        return str(self.cleaned_data["upload"].name).lower().endswith(".json")
