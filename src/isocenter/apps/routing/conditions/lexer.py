"""Text of a condition → tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from isocenter.core.errors import ConditionError

MAX_LENGTH = 4000

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<number>-?[0-9]+(?:\.[0-9]+)?)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<operator>==|!=|<=|>=|!~|<|>|~)
  | (?P<mark>[()\[\],])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Token:
    kind: str  # "number", "word", "text", "operator", "mark", "end"
    text: str  # as written; for "text" the value
    position: int


def tokens(source: str) -> Iterator[Token]:
    """Cut a condition into tokens; the last one is of kind ``end``.

    Raises:
        ConditionError: a character that begins nothing, an open quotation mark, over-long text.
    """
    if len(source) > MAX_LENGTH:
        raise ConditionError(
            f"the condition has {len(source)} characters; {MAX_LENGTH} are allowed",
            position=MAX_LENGTH,
        )
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise _unreadable(source, position)
        kind = str(match.lastgroup)
        if kind == "text":
            yield Token(kind, _unquote(match.group()), position)
        elif kind != "space":
            yield Token(kind, match.group(), position)
        position = match.end()
    yield Token("end", "", len(source))


def quote(value: str) -> str:
    """A text as it is written in a condition."""
    inner = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + inner.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


def _unquote(written: str) -> str:
    # An escape that has no meaning of its own stays as it is, so that "\d" reaches the pattern.
    def replace(match: re.Match[str]) -> str:
        char = match.group(1)
        if char in "\\\"'":
            return char
        return _ESCAPES.get(char, match.group())

    return re.sub(r"\\(.)", replace, written[1:-1], flags=re.DOTALL)


def _unreadable(source: str, position: int) -> ConditionError:
    char = source[position]
    if char in "\"'":
        return ConditionError(
            f"the text that starts at character {position + 1} is not closed with {char}",
            position=position,
        )
    suggestion = {"=": "==", "!": "!= or not", "&": "and", "|": "or"}.get(char, "")
    return ConditionError(
        f"character {position + 1} ({char!r}) has no meaning in a condition",
        position=position,
        suggestion=suggestion,
    )
