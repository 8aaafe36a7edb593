"""Several items of the quarantine at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.schemas import Command, Row, with_problems
from isocenter.apps.routing import services
from isocenter.apps.routing.models import QuarantineItem
from isocenter.core.errors import IsocenterError

router = Router(tags=["quarantine"])


class Items(Command):
    """Which ones."""

    ids: list[str] = Field(min_length=1, max_length=200)


class Outcome(Row):
    """What became of one of them."""

    id: str = Field(description="as it was given")
    done: bool
    state: str = Field("", description="in which it is now")
    error: str = Field("", description="why it was not done")


class Outcomes(Row):
    """What became of each."""

    items: list[Outcome]


@router.post("/quarantine/retry", response=with_problems(Outcomes), auth=needs(Right.QUARANTINE))
def retry_items(request: HttpRequest, items: Items) -> Any:
    """Try several again. Each is for itself: what cannot be done is said, and the others are."""
    return _each(items, services.retry_quarantined, actor(request))


@router.post("/quarantine/release", response=with_problems(Outcomes), auth=needs(Right.QUARANTINE))
def release_items(request: HttpRequest, items: Items) -> Any:
    """Let several runs or deliveries go, each for itself."""
    return _each(items, services.release_quarantined, actor(request))


def _each(items: Items, act: Callable[..., QuarantineItem], who: str) -> dict[str, Any]:
    outcomes: list[dict[str, Any]] = []
    for item_id in items.ids:
        try:
            item = act(item_id, actor=who)
        except IsocenterError as error:
            outcomes.append({"id": item_id, "done": False, "error": str(error)})
        else:
            outcomes.append({"id": item_id, "done": True, "state": str(item.state)})
    return {"items": outcomes}
