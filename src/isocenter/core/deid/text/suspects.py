"""What looks like somebody's, whoever it is: addresses of the net, telephone numbers, names with a
title, and numbers and names with a label."""

from __future__ import annotations

import re
from collections.abc import Iterator

from isocenter.core.deid.text.matching import Span

_UPPER = "A-ZÀ-ÖØ-ÞĀ-ŽΑ-ΩА-Я"
_NAME = rf"(?:[{_UPPER}][\w'’.-]*|v[ao]n|de[lr]?|d[aeo]s?|la|le|bin|al)"
_NAMES = rf"{_NAME}(?:[ ^,]+{_NAME}){{0,3}}"
_TITLE = (
    r"(?:[Dd]r(?:[aes]|\. ?med|\.)?|DR|DRA|[Pp]rof(?:ess?or[a]?)?\.?|PROF|[Dd]o[ck]tor[a]?"
    r"|M[rs]s?\."
    r"|M(?:rs|iss)|[Hh]errn?|[Ff]rau|[Ss]r[a]?\.|[Ss]rta\.?|[Ss]e[nñ]h?or[a]?"
    r"|[Dd]ott(?:\.|ore|oressa)|[Mm]me\.?|[Mm]lle\.?)"
)
_BY = (
    r"(?i:signed|dictated|reported|read|verified|approved|referred|ordered|transcribed|reviewed"
    r"|requested|attending|attn|befundet|überwiesen|uberwiesen|zuweiser|angefordert|firmado"
    r"|informado|solicitado|assinado|laudado|encaminhado)"
    r"(?: (?i:by|from|von|durch|por|pelo|pela))? ?:? ?"
)
_LABEL = (
    r"(?i:patient name|pat\.? name|name|nombre|apellidos?|nome|sobrenome|nachname|vorname|surname"
    r"|operator|technologist|tech|radiologist|physician|referrer|referring(?: physician)?|doctor"
    r"|médico|arzt)"
)
_NUMBER_LABEL = (
    r"(?i:mrn|m\.r\.n\.|acc(?:ession)?(?: ?(?:no|nr|number|#))?|acc#|dob|d\.o\.b\.|geb(?:oren)?|ssn"
    r"|nhs(?: ?no)?|cpf|dni|rg|nhc|pat(?:ient)?[ -]?(?:id|nr|no)|id|case(?: no)?"
    r"|hosp(?:ital)?[ -]?(?:no|nr|number)|tel(?:efon|ephone|[eé]fono|efone)?|phone|mobile|fax|room"
    r"|bed|zimmer|station)"
)

_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)*")
_MAIL_ADDRESS = re.compile(  # where source code is, is nobody's
    r"(?<![\w.+%'-])(?!git@)[\w.+%'-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}"
)
_URL = re.compile(r"(?i)\b(?:https?|ftp)://\S+|\bwww\.\S+|\b\d{1,3}(?:\.\d{1,3}){3}\b")
_DRIVE = re.compile(r"(?i)\b[a-z]:\\\S+|\\\\[\w.$-]+\\\S*")
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ ()/.-]{0,2})?(?:\(\d{1,5}\)[ /.-]?)?"
    r"\d{2,5}(?:[ /.-]\d{2,5}){1,4}(?![\w.])"
)
_GROUPED = re.compile(r"(?<![\d.])\d+(?:[-/. ]\d+){2,}(?![\d])")
_TITLED = re.compile(rf"(?<![\w]){_TITLE}[ ^,]+(?:{_TITLE}[ ^]+)*{_NAMES}")
_DEGREE = re.compile(
    rf"{_NAMES},? +(?:M\.?D\.?|Ph\.?D\.?|D\.?O\.|R\.?N\.|RT ?\(R\)|FRCR|FACR|MBBS|MTRA|MTA)(?![\w])"
)
_SIGNED = re.compile(rf"(?<![\w]){_BY}(?P<name>{_NAMES})")
_LABELLED = re.compile(rf"(?<![\w]){_LABEL} ?[:=] ?(?P<name>[^\s,;:]+(?:[ ^,]+{_NAME}){{0,3}})")
_NUMBERED = re.compile(
    rf"(?<![\w]){_NUMBER_LABEL} ?[:#=.]{{0,2}} ?"
    r"(?P<name>(?=[\w./+()-]*\d)[\w./+()-]+(?: \d[\d-]*)*)"
)
_LEAST_DIGITS = 6

# In values that name things a capital ``DR`` is digital radiography, and a number in groups a
# version: only what can hardly be anything else counts there.
_PERSON_TITLE = (
    r"(?:D[Rr]a?\.|Dr(?:\. ?med\.?)?|P(?:rof|ROF)\.|Professor[a]?|M(?:[RrSs]|RS|rs)\.|Mrs"
    r"|Herrn?|Frau|S[Rr][Aa]?\.|Srta\.|Se[nñ]h?or[a]?|Dott(?:\.|ore|oressa)|Mme\.|Mlle\.)"
)
_PERSON = re.compile(
    rf"(?<![\w]){_PERSON_TITLE}[ ^,]+(?:{_TITLE}[ ^]+)*(?=[{_UPPER}][\w'’-]*[^\W\d_]{{2}}){_NAMES}"
)
_TELEPHONE = re.compile(
    r"(?i:(?<![^\W_])(?:tel(?:efon|ephone|[eé]fono|efone)?|phone|mobile|fax)\b[ .:#=]{0,3})"
    r"\+?[\d(][\d ()/.-]{4,}\d"
    r"|(?<![\w.+-])(?:\+\d{1,3}[ ()/.-]{0,2}(?:\(\d{1,5}\)[ /.-]?)?\d{1,5}(?:[ /.-]?\d{2,5}){1,4}"
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-.]\d{4})(?![\w-]|\.\d)"
)


def suspects(text: str, *, dates: bool = True, labels: bool = True) -> list[Span]:
    """Places in a text (NFC) that look like somebody's.

    Args:
        text: to look at.
        dates: numbers in groups too, which dates and record numbers are.
        labels: what follows a label (``MRN 12``) too.
    """
    spans = [Span(*match.span(), "address") for match in _EMAIL.finditer(text)]
    spans += [Span(*match.span(), "address") for match in _URL.finditer(text)]
    if "\\" in text or ":" in text:
        spans += [Span(*match.span(), "address") for match in _DRIVE.finditer(text)]
    spans += [Span(*match.span(), "name") for match in _TITLED.finditer(text)]
    spans += [Span(*match.span(), "name") for match in _DEGREE.finditer(text)]
    if dates:
        spans += _numbers(text)
    if labels:
        spans += [Span(*match.span("name"), "name") for match in _SIGNED.finditer(text)]
        spans += [Span(*match.span("name"), "name") for match in _LABELLED.finditer(text)]
        spans += [Span(*match.span("name"), "number") for match in _NUMBERED.finditer(text)]
    return spans


def persons(text: str) -> list[Span]:
    """Places in a value that names a thing, a code or a setting which are somebody's all the same:
    electronic mail, folders of a computer, telephone numbers, and names with a title.

    Args:
        text: to look at, NFC.
    """
    spans = [Span(*match.span(), "address") for match in _MAIL_ADDRESS.finditer(text)]
    if "\\" in text or ":" in text:
        spans += [Span(*match.span(), "address") for match in _DRIVE.finditer(text)]
    spans += [Span(*match.span(), "name") for match in _PERSON.finditer(text)]
    for match in _TELEPHONE.finditer(text):
        if sum(letter.isdigit() for letter in match.group()) >= _LEAST_DIGITS:
            spans.append(Span(*match.span(), "number"))
    return spans


def _numbers(text: str) -> Iterator[Span]:
    """Telephone numbers, and other numbers in groups with six digits or more."""
    for pattern in (_PHONE, _GROUPED):
        for match in pattern.finditer(text):
            if sum(letter.isdigit() for letter in match.group()) >= _LEAST_DIGITS:
                yield Span(*match.span(), "number")
