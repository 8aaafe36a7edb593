"""What views of this app share: parts of pages, links to other pages of a list, refusals."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from isocenter.apps.routing.keyset import Slice
from isocenter.core.errors import IsocenterError
from isocenter.runtime.web.paging import Page, with_query


def page_of(request: HttpRequest, found: Slice[Any], items: Any = None) -> Page:
    """A slice as ``web/paging.html`` shows it."""
    count = len(found.rows)
    return Page(
        items=found.rows if items is None else items,
        previous_url=with_query(request, page=found.newer) if found.newer else "",
        next_url=with_query(request, page=found.older) if found.older else "",
        text=f"{count} on this page" if count else "",
    )


def sentence(error: IsocenterError) -> str:
    """An error as people read it on a page; hints that name commands are for the prompt."""
    text = str(error.args[0]) if error.args else "this cannot be done"
    hint = error.hint if error.hint and not error.hint.startswith("isocenter ") else ""
    end = "" if text.endswith((".", "?", "!")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}{f' {hint[:1].upper()}{hint[1:]}.' if hint else ''}"


def tell(request: HttpRequest, error: IsocenterError) -> None:
    """Say on the next page why something was not done."""
    messages.error(request, sentence(error))
