"""Search: QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

import itertools
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import Level, Match, Question
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.dicomweb.accept import JSON, PLAIN_JSON, XML, Chosen, Offer, chosen_of
from isocenter.apps.dicomweb.addresses import base_url, place_of
from isocenter.apps.dicomweb.empty import empty_answer
from isocenter.apps.dicomweb.errors import BadRequest
from isocenter.apps.dicomweb.guard import is_identified, needs
from isocenter.apps.dicomweb.multipart_answers import Part, multipart_answer
from isocenter.apps.dicomweb.qido_answers import RETRIEVE_URL, as_json, as_text, attributes
from isocenter.apps.dicomweb.qido_fields import all_of, belong, laid_under
from isocenter.apps.dicomweb.qido_parameters import Asked, name_of, read_parameters
from isocenter.apps.dicomweb.viewing import note_view

OFFERED = (Offer(JSON), Offer(PLAIN_JSON), Offer(XML, is_multipart=True))
_STUDY_UID, _SERIES_UID = 0x0020000D, 0x0020000E
_AT_ONCE = 500  # answers whose further attributes are asked for together
_MOST_NAMED = 10


@needs(Right.VIEW)
def studies(request: HttpRequest) -> HttpResponseBase:
    """Search for studies."""
    return _search(request, Level.STUDY, {})


@needs(Right.VIEW)
def series(request: HttpRequest, study_uid: str = "") -> HttpResponseBase:
    """Search for series: of one study, or of all."""
    return _search(request, Level.SERIES, {_STUDY_UID: study_uid} if study_uid else {})


@needs(Right.VIEW)
def instances(request: HttpRequest, study_uid: str = "", series_uid: str = "") -> HttpResponseBase:
    """Search for instances: of one series, of one study, or of all."""
    places = {_STUDY_UID: study_uid, _SERIES_UID: series_uid}
    return _search(request, Level.INSTANCE, {tag: uid for tag, uid in places.items() if uid})


def _search(request: HttpRequest, level: Level, places: dict[int, str]) -> HttpResponseBase:
    chosen = chosen_of(request.headers.get("Accept"), request.GET.get("accept"), OFFERED)
    asked = _asked(request, level)
    identified = is_identified(request)
    most = int(settings.ISOCENTER.web.search_limit)
    wanted = most if asked.limit is None else min(asked.limit, most)
    matches: list[Match] = []
    if wanted:
        question = _question(asked, level, places, wanted + 1, identified=identified)
        matches = list(itertools.islice(queries.search(question), wanted + 1))
    is_cut, matches = len(matches) > wanted, matches[:wanted]
    _note(request, level, asked, places, len(matches))
    warnings = _left_out(asked, level)
    if is_cut and (asked.limit is None or asked.limit > most):
        warnings.append(
            f"The answer was cut at {most} results. There are additional results that can be "
            f"requested with offset={asked.offset + most}."
        )
    if not matches:
        return _warned(request, empty_answer(204), warnings)
    base = base_url(request)
    further = all_of(level) if asked.all_fields else belong(_unknown(asked, level), level)
    if not chosen.is_multipart and not asked.all_fields and not further:
        content = as_text(_values(match, base) for match in matches)
        return _warned(request, _json(content, chosen), warnings)
    found = _answers(matches, further, base, identified=identified)
    if chosen.is_multipart:
        from isocenter.core.dicom.json_model.native_xml import native_xml

        parts = [Part(XML, (native_xml(each),)) for each in found]
        return _warned(request, multipart_answer(request, parts, XML), warnings)
    return _warned(request, _json(as_json(found), chosen), warnings)


def _json(content: bytes, chosen: Chosen) -> HttpResponse:
    response = HttpResponse(content, content_type=chosen.media_type)
    response.headers["Content-Length"] = str(len(content))
    return response


def _unknown(asked: Asked, level: Level) -> frozenset[int]:
    """What is wanted and the index does not have."""
    return frozenset(asked.fields - queries.SEARCHABLE[level].keys())


def _values(match: Match, base: str) -> dict[int, tuple[Any, ...]]:
    place = place_of(base, match.study_uid, match.series_uid, match.sop_uid)
    return {**match.values, RETRIEVE_URL: (place,)}


def _asked(request: HttpRequest, level: Level) -> Asked:
    table = queries.SEARCHABLE[level]
    items = [(name, value) for name, values in request.GET.lists() for value in values]
    asked = read_parameters(items, table, {tag: each.items for tag, each in table.items()})
    if nothing := [tag for tag, text in asked.keys.items() if text and not _can_match(table[tag])]:
        raise BadRequest(f"{name_of(nothing[0])} is answered, but cannot be searched")
    return asked


def _can_match(attribute: queries.Attribute) -> bool:
    return queries.Matching.NONE not in attribute.matching


def _question(
    asked: Asked, level: Level, places: dict[int, str], limit: int, *, identified: bool
) -> Question:
    """
    Raises:
        BadRequest: an address and its parameters name different studies or series.
    """
    for tag, uid in places.items():
        if asked.keys.get(tag, uid) not in ("", uid):
            raise BadRequest(f"{name_of(tag)} stands in the address already, with another value")
    table = queries.SEARCHABLE[level]
    wanted = {*asked.keys, *asked.fields, *(outer for outer, _ in asked.sequence_keys)}
    # Whoever did not name the study or series learns of it with each answer (Table 10.6.3-4, -5).
    if level != Level.STUDY and _STUDY_UID not in places:
        wanted |= queries.ANSWERED[Level.STUDY]
    if level == Level.INSTANCE and _SERIES_UID not in places:
        wanted |= queries.ANSWERED[Level.SERIES]
    return Question(
        level=level,
        keys={**asked.keys, **places},
        sequence_keys=asked.sequence_keys,
        returns=queries.ALL_ATTRIBUTES if asked.all_fields else frozenset(wanted & table.keys()),
        fuzzy=asked.fuzzy,
        identified=identified,
        limit=limit,
        offset=asked.offset,
    )


def _answers(
    matches: list[Match], further_tags: frozenset[int] | None, base: str, *, identified: bool
) -> list[dict[str, Any]]:
    """
    Args:
        further_tags: what the metadata of an instance have to say; None: whatever they do.
    """
    found = [attributes(_values(match, base)) for match in matches]
    if further_tags is not None and not further_tags:
        return found
    for first in range(0, len(found), _AT_ONCE):
        keys = [
            (each.study_uid, each.series_uid, each.sop_uid)
            for each in matches[first : first + _AT_ONCE]
        ]
        further = queries.further_attributes(keys, further_tags, identified=identified)
        for place_in_page, more in enumerate(further):
            found[first + place_in_page] = laid_under(found[first + place_in_page], more)
    return found


def _left_out(asked: Asked, level: Level) -> list[str]:
    """What was wanted and no answer of this level has (PS3.18 8.3.4.2: it is passed over)."""
    beyond = _unknown(asked, level)
    names = sorted(name_of(tag) for tag in beyond - belong(beyond, level))
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return [f"Answers of this level have no {', '.join(names[:_MOST_NAMED])}{more}."]


def _note(
    request: HttpRequest, level: Level, asked: Asked, places: dict[int, str], found: int
) -> None:
    """Who asked what; looking into a study that is known by its address is a view of it."""
    if places.get(_STUDY_UID) and not asked.key_names:
        note_view(request, places[_STUDY_UID], "index")
        return
    record(
        Kind.QUERY,
        study_uid=places.get(_STUDY_UID, ""),
        actor=principal_of(request).name,
        by="QIDO-RS",
        level=str(level),
        keys=asked.key_names,
        found=found,
    )


def _warned(
    request: HttpRequest, response: HttpResponseBase, warnings: list[str]
) -> HttpResponseBase:
    if warnings:
        text = " ".join(warnings)
        response.headers["Warning"] = f'299 {base_url(request)}: "{text}"'
    return response
