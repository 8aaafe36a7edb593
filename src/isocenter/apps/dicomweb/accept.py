"""Content negotiation: what a client takes, and what is given of it (PS3.18 8.7.3 to 8.7.5).

``parse_accept`` reads ``Accept`` and the query parameter ``accept``, `choose` holds it against
what can be given. A part of ``multipart/related`` is meant by its parameter ``type``. An element
that cannot be read is passed over where another can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from isocenter.apps.dicomweb.errors import BadRequest, NotAcceptable

DICOM = "application/dicom"
JSON = "application/dicom+json"
PLAIN_JSON = "application/json"
XML = "application/dicom+xml"
OCTETS = "application/octet-stream"
ZIP = "application/zip"
#: As it is stored, whatever that is.
ANY_SYNTAX = "*"

_LONGEST = 8192
_MOST_RANGES = 64
_WORD = r"[^\s()<>@,;:\\\"/\[\]?={}\x00-\x1f\x7f]+"
_TYPE = re.compile(rf"\s*({_WORD})\s*/\s*({_WORD})\s*")
_ANYTHING = re.compile(r"\s*\*\s*(?=[,;]|$)")  # a lone asterisk: Java sends it
# As far as the next comma outside of quotes.
_ELEMENT = re.compile(r"(?:[^,\"]|\"(?:[^\"\\]|\\.?)*\"?)*", re.DOTALL)
# A value may hold a slash unquoted: many clients write type=application/dicom.
_PARAMETER = re.compile(
    rf"\s*;\s*({_WORD})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,;\"\x00-\x1f\x7f]*))\s*|\s*;\s*"
)


@dataclass(frozen=True)
class MediaRange:
    """One range of ``Accept``.

    Attributes:
        media_type: ``type/subtype`` in lower case, with ``*`` as a wildcard; of
            ``multipart/related`` that of its parts.
        is_multipart: ``multipart/related``.
        transfer_syntax: its parameter; empty: not named.
        quality: 0 to 1; 0 is a no.
    """

    media_type: str
    is_multipart: bool = False
    transfer_syntax: str = ""
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)

    def rank_for(self, offer: Offer) -> int:
        """How exactly this range means an offer; 0: not at all."""
        main, _, sub = self.media_type.partition("/")
        is_anything = self.media_type == "*/*"
        if self.is_multipart != offer.is_multipart and not (is_anything and not self.is_multipart):
            return 0
        offered_main, _, offered_sub = offer.media_type.partition("/")
        if not is_anything and (main != offered_main or sub not in ("*", offered_sub)):
            return 0
        rank = 1 + (main != "*") + (sub != "*") + self.is_multipart
        if self.transfer_syntax in ("", ANY_SYNTAX) or not offer.transfer_syntaxes:
            return rank
        return rank + 1 if self.transfer_syntax in offer.transfer_syntaxes else 0


@dataclass(frozen=True)
class Offer:
    """One form that an answer can have.

    Attributes:
        media_type: of the answer, or of its parts.
        is_multipart: as parts of ``multipart/related``.
        transfer_syntaxes: in which it can be given; empty where the parameter means nothing.
    """

    media_type: str
    is_multipart: bool = False
    transfer_syntaxes: Sequence[str] = ()

    def __str__(self) -> str:
        if self.is_multipart:
            return f'multipart/related; type="{self.media_type}"'
        return self.media_type


@dataclass(frozen=True)
class Chosen:
    """What is given.

    Attributes:
        transfer_syntax: that was asked for; ``*``: as it is stored; empty: none was named, so
            that the standard's default holds (PS3.18 8.7.3.5).
    """

    offer: Offer
    transfer_syntax: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0

    @property
    def media_type(self) -> str:
        return self.offer.media_type

    @property
    def is_multipart(self) -> bool:
        return self.offer.is_multipart


ANYTHING = MediaRange("*/*")


def parse_accept(header: str | None, query: str | None = None) -> list[MediaRange]:
    """What a client takes, the best first; those of equal quality in their own order.

    Args:
        header: ``Accept``; none or empty: anything.
        query: the parameter ``accept`` (PS3.18 8.3.3.1), which goes before the header.

    Raises:
        BadRequest: nothing of it can be read, or it is too long.
    """
    if query:
        # ``+`` is a space in a query; no media type has one inside.
        return _ordered(_ranges(re.sub(r"(?<=[\w*]) (?=[\w*])", "+", query), "accept"))
    if not header or not header.strip():
        return [ANYTHING]
    return _ordered(_ranges(header, "Accept"))


def acceptable(ranges: Iterable[MediaRange], offered: Sequence[Offer]) -> list[Chosen]:
    """All that the client takes of what is offered, the best first."""
    ranges = list(ranges)
    found: list[tuple[float, int, int, Chosen]] = []
    for number, offer in enumerate(offered):
        best: dict[str, tuple[int, float, int, MediaRange]] = {}
        for place, each in enumerate(ranges):
            rank = each.rank_for(offer)
            known = best.get(each.transfer_syntax)
            if rank and (known is None or rank > known[0]):
                best[each.transfer_syntax] = (rank, each.quality, place, each)
        found += [
            (-quality, place, number, Chosen(offer, syntax, each.parameters, quality))
            for syntax, (_, quality, place, each) in best.items()
            if quality > 0
        ]
    return [chosen for *_, chosen in sorted(found, key=lambda item: item[:3])]


def choose(ranges: Iterable[MediaRange], offered: Sequence[Offer]) -> Chosen | None:
    """The best of what the client takes; None where it takes nothing that is offered."""
    return next(iter(acceptable(ranges, offered)), None)


def chosen_of(header: str | None, query: str | None, offered: Sequence[Offer]) -> Chosen:
    """`parse_accept` and `choose` in one.

    Raises:
        BadRequest: ``Accept`` cannot be read.
        NotAcceptable: the client takes nothing that is offered; says what there is.
    """
    found = choose(parse_accept(header, query), offered)
    if found is None:
        raise refusal(offered)
    return found


def refusal(offered: Sequence[Offer], *, as_stored: bool = False) -> NotAcceptable:
    """What is said where a client takes nothing that is offered.

    Args:
        as_stored: all of it goes out in the transfer syntax in which it is stored alone.
    """
    forms = dict.fromkeys(
        f"{offer}; transfer-syntax=*" if as_stored and offer.transfer_syntaxes else str(offer)
        for offer in offered
    )
    return NotAcceptable(
        "nothing that is asked for (Accept) can be given here",
        hint=f"there is: {', '.join(forms)}",
    )


def _ordered(ranges: list[MediaRange]) -> list[MediaRange]:
    return sorted(ranges, key=lambda each: -each.quality)


def _ranges(text: str, name: str) -> list[MediaRange]:
    if len(text) > _LONGEST:
        raise BadRequest(f"{name} is longer than {_LONGEST} characters")
    found: list[MediaRange] = []
    unread: BadRequest | None = None
    for element in _ELEMENT.finditer(text):
        if not element[0].strip(" \t"):
            continue
        try:
            found.append(_read(text, element, name))
        except BadRequest as error:
            unread = unread or error
        if len(found) > _MOST_RANGES:
            raise BadRequest(f"{name} names more than {_MOST_RANGES} media types")
    if unread and not found:
        raise unread
    return found or [ANYTHING]


def _read(text: str, element: re.Match[str], name: str) -> MediaRange:
    """One element.

    Raises:
        BadRequest: it cannot be read.
    """
    kind = _TYPE.match(text, element.start(), element.end())
    asterisk = _ANYTHING.match(text, element.start())
    if kind is None and asterisk is None:
        begin = element.start() + len(element[0]) - len(element[0].lstrip(" \t"))
        raise BadRequest(
            f"{name} has no media type at character {begin + 1}",
            hint=f'for example {name}: multipart/related; type="{DICOM}"',
        )
    media_type = f"{kind[1]}/{kind[2]}".lower() if kind else "*/*"
    begin = (kind or asterisk).end()  # type: ignore[union-attr]
    position, parameters = _parameters(text, begin, element.end())
    if position < element.end():
        raise BadRequest(f"{name} cannot be read at character {position + 1}")
    return _range(media_type, parameters, name)


def _parameters(text: str, position: int, end: int) -> tuple[int, dict[str, str]]:
    found: dict[str, str] = {}
    while match := _PARAMETER.match(text, position, end):
        position = match.end()
        if match[1]:
            quoted = match[2]
            value = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found.setdefault(match[1].lower(), value)
    return position, found


def _range(media_type: str, parameters: dict[str, str], name: str) -> MediaRange:
    try:
        quality = float(parameters.get("q") or 1)
    except ValueError:
        quality = -1.0
    if not 0 <= quality <= 1:
        raise BadRequest(f"q={parameters['q'][:20]} in {name} is no number from 0 to 1")
    is_multipart = media_type in ("multipart/related", "multipart/*")
    inner = parameters.get("type", "*/*").strip().lower() if is_multipart else media_type
    if not _TYPE.fullmatch(inner):
        raise BadRequest(f"type={inner[:60]} in {name} is no media type")
    return MediaRange(
        inner, is_multipart, parameters.get("transfer-syntax", "").strip(), quality, parameters
    )
