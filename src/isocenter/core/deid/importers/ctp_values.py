"""Single function calls of CTP's DICOM anonymizer, as changes and as fields of templates."""

from __future__ import annotations

import re

from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.errors import ConfigurationError

_MOST_HASH_LETTERS = 64
_HASH_LETTERS = 16
_PLAIN = {
    "keep": ChangeKind.KEEP,
    "remove": ChangeKind.REMOVE,
    "empty": ChangeKind.EMPTY,
    "blank": ChangeKind.EMPTY,
    "process": ChangeKind.KEEP,
    "quarantine": ChangeKind.REFUSE,
    "skip": ChangeKind.REFUSE,
}
_NEVER = {
    "lookup": "the look-up table is not in the script; give pseudonyms as CSV",
    "integer": "it needs CTP's table of integers; give pseudonyms as CSV",
    "initials": "initials identify",
    "lowercase": "no such action; the profile decides",
    "uppercase": "no such action; the profile decides",
    "encrypt": "what can be decrypted is still there; use @hash",
    "decrypt": "what was encrypted by another key cannot be read here",
    "dateinterval": "the table of base dates is not in the script; shift dates instead",
    "date": "the day of the run would make every run differ",
    "time": "the time of the run would make every run differ",
    "pathelement": "no such action; the profile decides",
    "call": "a plug-in of CTP",
}


class NotMapped(Exception):
    """A piece of a script that has no counterpart; says why."""


def call_change(name: str, arguments: list[str], is_patient: bool, changed: list[str]) -> Change:
    """The change that a single call makes.

    Args:
        name: of the function.
        arguments: parameters put in, elements by keyword, ``this`` for the element itself.
        is_patient: the element is Patient ID or Patient's Name.
        changed: takes what differs, in words.

    Raises:
        NotMapped: says why.
    """
    if name in _PLAIN:
        if name == "skip":
            changed.append("CTP passes such an object on as it is; here it is refused")
        if name == "blank":
            changed.append("empty instead of blanks")
        return Change(_PLAIN[name])
    if name in ("lookup", "integer") and is_patient:
        changed.append("the pseudonym goes there; CTP's table can be given as CSV")
        return Change(ChangeKind.PSEUDONYM)
    if name in _NEVER:
        raise NotMapped(_NEVER[name])
    builder = _BUILDERS.get(name)
    if builder is None:
        raise NotMapped(f"@{name} is no function of CTP that is known here")
    try:
        return builder(arguments, changed)
    except (IndexError, ValueError) as error:
        raise NotMapped(f"@{name} with these arguments") from error
    except ConfigurationError as error:
        raise NotMapped(str(error)) from error


def template_field(name: str, arguments: list[str]) -> str:
    """A call between other text, as a field of a template.

    Raises:
        NotMapped: says why.
    """
    element = _field_name(arguments[0]) if arguments else "value"
    match name:
        case "param":
            return arguments[0].replace("{", "{{").replace("}", "}}")
        case "contents" | "value" if len(arguments) == 1:
            return f"{{{element}}}"
        case "hash" | "hashname":
            return f"{{hash:{element}:{_hash_length(arguments, 1)}}}"
        case "hashptid":
            return f"{{hash:{_field_name(arguments[1])}:{_hash_length(arguments, 2)}}}"
        case "hashuid" if len(arguments) == 2:
            return f"{{uid:{_field_name(arguments[1])}}}"
        case "hashdate":
            return f"{{shift:{element}}}"
        case "truncate" if len(arguments) == 2:
            size = int(arguments[1])
            return f"{{{'first' if size >= 0 else 'last'}:{element}:{abs(size)}}}"
    raise NotMapped(_NEVER.get(name, f"@{name} between other text"))


def _field_name(element: str) -> str:
    return "value" if element == "this" else element


def _hash_length(arguments: list[str], place: int) -> int:
    text = arguments[place] if len(arguments) > place else ""
    return min(int(text), _MOST_HASH_LETTERS) if text.isdigit() and int(text) else _HASH_LETTERS


def _hash(arguments: list[str], changed: list[str]) -> Change:
    changed.append("a keyed hash in hexadecimal digits instead of an MD5 in decimal digits")
    length = _hash_length(arguments, 1)
    if arguments[0] == "this":
        return Change(ChangeKind.HASH, length=length)
    return Change(ChangeKind.TEMPLATE, f"{{hash:{arguments[0]}:{length}}}")


def _hash_patient(arguments: list[str], changed: list[str]) -> Change:
    return _hash([arguments[1], *arguments[2:3]], changed)


def _hash_uid(arguments: list[str], changed: list[str]) -> Change:
    if len(arguments) > 2:
        raise NotMapped("@hashuid with a third argument")
    changed.append("UIDs are 2.25.… by the project's secret; the root is not used")
    if arguments[1] == "this":
        return Change(ChangeKind.UID)
    return Change(ChangeKind.TEMPLATE, f"{{uid:{arguments[1]}}}")


def _hash_date(arguments: list[str], changed: list[str]) -> Change:
    changed.append("the patient's own shift of 1 to 365 days")
    if arguments[0] == "this":
        return Change(ChangeKind.SHIFT)
    return Change(ChangeKind.TEMPLATE, f"{{shift:{arguments[0]}}}")


def _increment_date(arguments: list[str], changed: list[str]) -> Change:
    if arguments[0] != "this":
        raise NotMapped("@incrementdate of another element")
    return Change(ChangeKind.SHIFT, days=int(arguments[1]))


def _modify_date(arguments: list[str], changed: list[str]) -> Change:
    if arguments[0] != "this":
        raise NotMapped("@modifydate of another element")
    wanted = [text.strip() for text in arguments[1:4]]
    year, month, day = (int(text) if text.isdigit() else None for text in wanted)
    if year is None and day == 1 and month in (None, 1):
        return Change(ChangeKind.ROUND, "month" if month is None else "year")
    groups = [
        f"\\g<{group}>" if number is None else f"{number:0{4 if group == 1 else 2}}"
        for group, number in enumerate((year, month, day), 1)
    ]
    return Change(ChangeKind.REGEX_REPLACE, r"^(\d{4})(\d{2})(\d{2}).*$", "".join(groups))


def _round(arguments: list[str], changed: list[str]) -> Change:
    if arguments[0] != "this":
        raise NotMapped("@round of another element")
    return Change(ChangeKind.ROUND, str(int(arguments[1])))


def _truncate(arguments: list[str], changed: list[str]) -> Change:
    if len(arguments) == 1:
        return _contents(arguments, changed)
    size = int(arguments[1])
    if arguments[0] != "this":
        return Change(ChangeKind.TEMPLATE, template_field("truncate", arguments))
    pattern = rf"(?s)^(.{{0,{size}}}).*$" if size >= 0 else rf"(?s)^.*?(.{{0,{-size}}})$"
    return Change(ChangeKind.REGEX_REPLACE, pattern, r"\1")


def _contents(arguments: list[str], changed: list[str]) -> Change:
    if len(arguments) == 1:
        if arguments[0] == "this":
            return Change(ChangeKind.KEEP)
        return Change(ChangeKind.TEMPLATE, f"{{{arguments[0]}}}")
    if arguments[0] != "this":
        raise NotMapped("@contents of another element with a regular expression")
    by = arguments[2] if len(arguments) > 2 else ""
    by = re.sub(r"\$(\d)", r"\\\1", by.replace("\\", "\\\\"))
    return Change(ChangeKind.REGEX_REPLACE, arguments[1], by)


def _parameter(arguments: list[str], changed: list[str]) -> Change:
    text = arguments[0].strip()
    return Change(ChangeKind.REPLACE, text) if text else Change(ChangeKind.EMPTY)


def _require(arguments: list[str], changed: list[str]) -> Change:
    changed.append("the attribute is not added where it is absent")
    return Change(ChangeKind.KEEP)


_BUILDERS = {
    "hash": _hash,
    "hashname": _hash,
    "hashptid": _hash_patient,
    "hashuid": _hash_uid,
    "hashdate": _hash_date,
    "incrementdate": _increment_date,
    "modifydate": _modify_date,
    "round": _round,
    "truncate": _truncate,
    "contents": _contents,
    "value": _contents,
    "param": _parameter,
    "require": _require,
}
