"""The document of a project: what leaves, what becomes of it, and who is called what.

::

    options: [clean-descriptors, retain-patient-characteristics]
    dates: shift
    pixels: templates
    pseudonyms: {kind: pattern, pattern: "{site}_{counter:04}", site: CH}
    rules: |
      rules:
        - {tags: StudyDescription, action: keep}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from isocenter.core.deid.policy import Option, Policy, PrivateKeep
from isocenter.core.deid.pseudonyms.issuing import PatternPseudonyms
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.pseudonyms.store import MemoryStore
from isocenter.core.deid.rules.presets import preset
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.rules.yaml_nodes import compose
from isocenter.core.deid.text.matching import tokens_of
from isocenter.core.errors import ConfigurationError

MOST_RULES = 1 << 20
MOST_WORDS = 20_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD_BREAKS = frozenset("\r\x85\u2028\u2029")  # line breaks in YAML that nobody sees
_NO_TEXT = "there is a NUL in it, or half of a character"


class ProjectProblems(ConfigurationError):
    """A project that cannot be used as it is.

    Attributes:
        problems: what is wrong, by key (``pseudonyms.pattern``).
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{key}: {text}" for key, text in problems.items()))
        self.problems = dict(problems)


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrivateDocument(Document):
    """A private attribute that stays (PS3.5 7.8). Without ``element``: the creator's whole block.

    Numbers, or hexadecimal digits in quotes.
    """

    creator: str = Field(min_length=1, max_length=64)
    group: int = Field(ge=0x0009, le=0xFFFD, description="odd")
    element: int | None = Field(None, ge=0x00, le=0xFF, description="the low byte")

    @field_validator("group", "element", mode="before")
    @classmethod
    def _hexadecimal(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return int(value, 16)
        except ValueError:
            raise ValueError("hexadecimal digits are expected, such as '0029'") from None

    @field_validator("group", mode="after")
    @classmethod
    def _odd(cls, value: int) -> int:
        if not value % 2:
            raise ValueError("a private group has an odd number")
        return value


class PseudonymsDocument(Document):
    """Who is called what."""

    kind: Literal["keyed", "pattern", "given"] = Field(
        "keyed", description="computed from the secret, counted up, or from a list alone"
    )
    pattern: str = Field("{site}_{counter:04}", max_length=200)
    site: str = Field("", max_length=64)
    first: int = Field(1, ge=0, le=10**12, description="lowest number of a pattern")
    remember: bool = Field(
        True, description="keep whose a computed pseudonym is, so that it can be looked up"
    )


class ProjectDocument(Document):
    """What a project wants. The defaults are the Basic Profile (PS3.15 E.2) as it stands."""

    options: tuple[Option, ...] = Field((), description="of the profile (PS3.15 E.3)")
    dates: Literal["remove", "shift", "keep"] = "remove"
    whole_weeks: bool = Field(False, description="shift by whole weeks")
    keep_ages: bool = Field(False, description="shift the birth date too; else it is emptied")
    pixels: Literal["off", "templates", "ocr"] = "off"
    faces: Literal["ignore", "refuse", "deface"] = "ignore"
    documents: Literal["refuse", "drop"] = "refuse"
    presets: tuple[str, ...] = Field((), description="rules that come with Isocenter")
    rules: str = Field("", max_length=MOST_RULES, description="a site's own rules, YAML")
    private_keep: tuple[PrivateDocument, ...] = ()
    words: tuple[str, ...] = Field((), max_length=MOST_WORDS, description="that free text may keep")
    pseudonyms: PseudonymsDocument = PseudonymsDocument()
    whole_studies: bool = Field(True, description="one refused object holds its study back")

    @field_validator("pixels", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        """YAML takes ``off`` without quotes for false."""
        return "off" if value is False else value

    def folded_words(self) -> tuple[str, ...]:
        """The words as the cleaner of texts compares them."""
        return tuple(sorted({token.folded for token in tokens_of("\n".join(self.words))}))


def read_document(values: Mapping[str, Any]) -> ProjectDocument:
    """A document that can be used, from plain values.

    Raises:
        ProjectProblems: what is wrong, by key; all of it.
    """
    try:
        document = parse_document(values)
    except ProjectProblems as error:
        raise ProjectProblems({**_problems_of_texts(values), **error.problems}) from None
    check_document(document)
    return document


def _problems_of_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the rules and presets, whatever is wrong with the rest."""
    rest = {key: values[key] for key in ("rules", "presets") if key in values}
    try:
        check_document(parse_document(rest))
    except ProjectProblems as error:
        return dict(error.problems)
    return {}


def parse_document(values: Mapping[str, Any]) -> ProjectDocument:
    """A document from plain values; whether it can be used was or is looked at elsewhere.

    Raises:
        ProjectProblems: what is wrong, by key.
    """
    try:
        return ProjectDocument.model_validate(dict(values))
    except ValidationError as error:
        raise ProjectProblems(_problems(error)) from None


def check_document(document: ProjectDocument) -> None:
    """
    Raises:
        ProjectProblems: what is wrong, by key.
    """
    texts = document.model_dump(mode="json")
    problems = {key: _NO_TEXT for key, value in texts.items() if not is_text(value)}
    if problems:
        raise ProjectProblems(problems)
    policy_of(document)


def is_text(value: object) -> bool:
    """Whether all text in a plain value can be kept: no NUL, and all of it has a form in UTF-8."""
    if isinstance(value, str):
        return "\0" not in value and not _SURROGATE.search(value)
    if isinstance(value, dict):
        return all(is_text(one) for one in value.values())
    return not isinstance(value, list) or all(is_text(one) for one in value)


def read_file(text: str, where: str = "project") -> tuple[ProjectDocument, str | None]:
    """Document and description of a YAML file; no description: none is given there.

    Raises:
        ProjectProblems: what is wrong, by key.
        ConfigurationError: no YAML, or no keys.
    """
    compose(text, where)  # refuses what is too deep, and aliases
    values = yaml.safe_load(text)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where}: expected keys like 'dates:'")
    values = {str(key): value for key, value in values.items()}
    description = values.pop("description", None)
    if description is not None and not isinstance(description, str):
        raise ProjectProblems({"description": "a text is expected"})
    return read_document(values), description


def write_document(document: ProjectDocument, description: str = "") -> str:
    """The YAML that :func:`read_file` reads to the same; all keys of the document are there."""
    values = document.model_dump(mode="json")
    for one in values["private_keep"]:
        one["group"] = f"{one['group']:04X}"
        one["element"] = None if one["element"] is None else f"{one['element']:02X}"
    return yaml.dump(
        {"description": description, **values} if description else values,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def policy_of(document: ProjectDocument) -> Policy:
    """The policy of the engine.

    Raises:
        ProjectProblems: what is wrong, by key.
    """
    problems = _contradictions(document)
    rules = _rules(document, problems)
    try:
        pseudonyms = document.pseudonyms
        if pseudonyms.kind == "pattern":
            PatternPseudonyms(pseudonyms.pattern, pseudonyms.site, MemoryStore(), Secret(bytes(32)))
    except ConfigurationError as error:
        problems["pseudonyms.pattern"] = str(error).removeprefix("pseudonym pattern: ")
    try:
        policy = Policy(
            options=frozenset(document.options),
            dates=document.dates,
            whole_weeks=document.whole_weeks,
            keep_ages=document.keep_ages,
            pixels=document.pixels,
            rules=rules,
            private_keep=tuple(
                PrivateKeep(one.creator, one.group, one.element) for one in document.private_keep
            ),
            faces=document.faces,
            documents=document.documents,
        )
    except ConfigurationError as error:
        problems.setdefault("options", str(error))
    if problems:
        raise ProjectProblems(problems)
    return policy


def _contradictions(document: ProjectDocument) -> dict[str, str]:
    """An output that says of itself what was not done would be a lie."""
    problems: dict[str, str] = {}
    if Option.CLEAN_PIXEL_DATA in document.options and document.pixels == "off":
        problems["pixels"] = "the option clean-pixel-data needs templates or ocr"
    if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in document.options and (
        document.faces == "ignore"
    ):
        problems["faces"] = "the option clean-recognizable-visual-features needs refuse or deface"
    if document.whole_weeks and not _shifts(document):
        problems["whole_weeks"] = "dates are shifted by weeks only where they are shifted"
    if document.keep_ages and not _shifts(document):
        problems["keep_ages"] = "birth dates are shifted only where dates are shifted"
    return problems


def _shifts(document: ProjectDocument) -> bool:
    return document.dates == "shift" or Option.RETAIN_MODIFIED_DATES in document.options


def _rules(document: ProjectDocument, problems: dict[str, str]) -> RuleSet | None:
    """The site's own rules first, then those of the presets."""
    together: RuleSet | None = None
    if document.rules.strip():
        try:
            together = RuleSet.from_yaml(document.rules)
        except ConfigurationError as error:
            problems["rules"] = str(error).removeprefix("rules:").strip()
    for index, name in enumerate(document.presets):
        try:
            together = together + preset(name) if together else preset(name)
        except ConfigurationError as error:
            problems[f"presets[{index}]"] = str(error)
    return together


def _problems(error: ValidationError) -> dict[str, str]:
    problems: dict[str, str] = {}
    for found in error.errors():
        key = ""
        for part in found["loc"]:
            key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
        text = found["msg"].removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            text = "there is no such key"
        problems.setdefault(key or "project", text)
    return problems


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they are written by people."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _ODD_BREAKS.intersection(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
