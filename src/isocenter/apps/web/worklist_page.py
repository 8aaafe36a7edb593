"""What the worklist page shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from isocenter.apps.accounts.rights import Principal, Right
from isocenter.apps.archive.models import Study
from isocenter.apps.archive.queries import (
    IDENTIFYING,
    Cursor,
    WorklistFilter,
    WorklistPage,
    flags_for,
    new_since,
    rows_now,
    worklist,
)
from isocenter.apps.routing.queries import Standing, standing
from isocenter.apps.web.search import address, address_of
from isocenter.apps.web.worklist_row import row_html
from isocenter.runtime.state_files import read_state
from isocenter.runtime.web.paging import Page
from isocenter.runtime.web.sealed import seal, unseal

_ROWS_MOST = 200
_STARTS_UP = frozenset({"patient_name", "patient_id", "accession_number", "study_description"})


@dataclass(frozen=True)
class Row:
    """A study, and where its runs and deliveries stand."""

    study: Study
    standing: Standing


@dataclass(frozen=True)
class Column:
    """A heading of the table."""

    title: str
    css: str = ""
    sort: str = ""  # key of SORTS; empty: cannot be sorted by
    url: str = ""
    direction: str = "none"  # of aria-sort


_COLUMNS = (
    Column("Patient", "", "patient_name"),
    Column("Study date", "", "study_date"),
    Column("Modalities"),
    Column("Description", "", "study_description"),
    Column("Accession", "d-none d-xl-table-cell", "accession_number"),
    Column("Instances", "text-end d-none d-lg-table-cell", "instances"),
    Column("From", "d-none d-xl-table-cell"),
    Column("Received", "d-none d-lg-table-cell", "received"),
    Column("State"),
    Column("Runs"),
)


def rows_of(studies: Sequence[Study]) -> list[Row]:
    """Rows of the table."""
    found = standing([study.pk for study in studies])
    return [Row(study, found.get(study.pk, Standing())) for study in studies]


def _html(rows: Sequence[Row], *, identified: bool) -> SafeString:
    parts = [row_html(row.study, row.standing, identified=identified) for row in rows]
    return mark_safe("".join(parts))  # noqa: S308 - of templates that escape


def columns(asked: WorklistFilter, *, identified: bool) -> list[Column]:
    """The headings, each with the address that sorts by it."""
    made = []
    for column in _COLUMNS:
        if not column.sort or (column.sort in IDENTIFYING and not identified):
            made.append(replace(column, sort=""))
            continue
        is_now = asked.order.removeprefix("-") == column.sort
        descends = asked.order.startswith("-")
        first = column.sort if column.sort in _STARTS_UP else f"-{column.sort}"
        other = column.sort if descends else f"-{column.sort}"
        direction = ("descending" if descends else "ascending") if is_now else "none"
        url = address(replace(asked, sort=other if is_now else first))
        made.append(replace(column, url=url, direction=direction))
    return made


def first_page(
    request: HttpRequest, principal: Principal, asked: WorklistFilter
) -> tuple[WorklistPage, dict[str, Any]]:
    """A page of studies, and what its template shows."""
    identified = principal.may(Right.VIEW_IDENTIFIED)
    cursor = Cursor.from_dict(unseal(request.GET.get("at", "")))
    found = worklist(asked, identified=identified, cursor=cursor)
    rows = rows_of(found.studies)
    paging = Page(
        items=rows,
        previous_url=address(asked, found.previous) if found.previous else "",
        next_url=address(asked, found.next) if found.next else "",
        text=_count_text(found),
    )
    live = live_address(
        asked,
        found.studies,
        rows,
        found.newest,
        is_first=found.previous is None,
        identified=identified,
    )
    return found, {
        "rows": rows,
        "rows_html": _html(rows, identified=identified),
        "page": paging,
        "columns": columns(asked, identified=identified),
        "live_url": live,
        "total_text": paging.text,
        "first_url": address(asked),
    }


def refreshed(
    request: HttpRequest, principal: Principal, asked: WorklistFilter
) -> dict[str, Any] | None:
    """What changed in the rows that a browser shows; None when nothing did."""
    given = unseal(request.GET.get("rows", ""))
    ids = [key for key in given.get("ids", []) if isinstance(key, int)][:_ROWS_MOST]
    studies = rows_now(ids)
    rows = rows_of(studies)
    newest = int(given.get("newest", 0))
    is_first = bool(given.get("first"))
    identified = principal.may(Right.VIEW_IDENTIFIED)
    new = new_since(asked, newest, identified=identified) if is_first else 0
    seen = digest_of(rows, new, identified=identified)
    if seen == request.GET.get("seen"):
        return None
    live = live_address(
        asked, studies, rows, newest, is_first=is_first, identified=identified, new=new
    )
    html = _html(rows, identified=identified)
    return {"rows_html": html, "new": new, "live_url": live, "first_url": address(asked)}


def live_address(
    asked: WorklistFilter,
    studies: Sequence[Study],
    rows: Sequence[Row],
    newest: int,
    *,
    is_first: bool,
    identified: bool,
    new: int = 0,
) -> str:
    """Where the rows are asked for anew; carries what the browser shows now."""
    shown = {"ids": [study.pk for study in studies], "newest": newest, "first": is_first}
    # The row numbers are no secret; sealed they cannot be made up, so nobody probes with them.
    more = urlencode(
        {"part": "rows", "rows": seal(shown), "seen": digest_of(rows, new, identified=identified)}
    )
    url = address(asked)
    return f"{url}{'&' if '?' in url else '?'}{more}"


def digest_of(rows: Sequence[Row], new: int, *, identified: bool) -> str:
    """Changes when anything that a row shows changes."""
    shown = [
        [
            row.study.pk,
            row.study.state,
            row.study.waiting_for,
            row.study.instance_count,
            row.study.series_count,
            row.study.modalities,
            flags_for(row.study.flags, identified=identified),
            row.study.last_received_at.isoformat(),
            row.study.revision,
            row.standing.runs,
            row.standing.deliveries,
        ]
        for row in rows
    ]
    text = json.dumps([shown, new], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _count_text(found: WorklistPage) -> str:
    if found.is_about:
        return f"about {round(found.total, 2 - len(str(found.total))):,} studies"
    return "1 study" if found.total == 1 else f"{found.total:,} studies"


def sending_help(request: HttpRequest) -> dict[str, Any]:
    """Where a scanner sends to, for the empty worklist."""
    state = read_state(settings.LAYOUT.run / "receiver.json")
    ports = [item.get("port") for item in state.get("addresses", [])]
    return {
        "ae_title": settings.ISOCENTER.receiver.ae_title,
        "host": request.get_host().rpartition(":")[0] or request.get_host(),
        "port": ports[0] if ports else settings.ISOCENTER.receiver.port,
        "is_enabled": settings.ISOCENTER.receiver.enabled,
    }


def saved_with_urls(filters: Sequence[Any], principal: Principal) -> list[dict[str, Any]]:
    """Saved searches as a menu shows them."""
    return [
        {
            "row": item,
            "url": address_of(item.values),
            "is_mine": item.owner_id == principal.user_id,
        }
        for item in filters
    ]
