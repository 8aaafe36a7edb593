"""What can be done with the pages' own rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocenter.apps.accounts.models import Group
from isocenter.apps.accounts.rights import Principal
from isocenter.apps.web.models import SavedFilter
from isocenter.apps.web.search import SearchForm, values_of
from isocenter.core.errors import ConfigurationError, NotFound

NAME_LENGTH = 64
_MOST = 100


class SearchProblems(ConfigurationError):
    """A search that cannot be kept as it is.

    Attributes:
        problems: what is wrong, by field.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))
        self.problems = dict(problems)


def save_filter(
    principal: Principal, name: str, values: dict[str, Any], *, group: str = ""
) -> SavedFilter:
    """Keep a search; one of the same name is written over.

    Args:
        group: name of a group of this person that sees it too; empty: nobody else does.

    Raises:
        ConfigurationError: no name, too many, or a group that they are not in.
    """
    name = " ".join(name.split())
    if not name or len(name) > NAME_LENGTH:
        raise ConfigurationError(f"a search needs a name of 1 to {NAME_LENGTH} characters")
    kept = SavedFilter.objects.filter(owner=principal.user_id)
    if kept.exclude(name=name).count() >= _MOST:
        raise ConfigurationError(f"{_MOST} searches are kept already", hint="delete one first")
    shared = None
    if group:
        shared = Group.objects.filter(name=group, members=principal.user_id).first()
        if shared is None:
            raise ConfigurationError(f"you are not in a group {group!r}")
    row, _ = SavedFilter.objects.update_or_create(
        owner_id=principal.user_id, name=name, defaults={"values": values, "group": shared}
    )
    return row


def search_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the worklist's search form makes of these values of its fields.

    Raises:
        SearchProblems: a field that it has not, or a value that cannot be.
    """
    unknown = [name for name in given if name not in SearchForm.base_fields]
    if unknown:
        raise SearchProblems(dict.fromkeys(unknown, "the search has no such field"))
    lists = {name for name, value in given.items() if isinstance(value, list)}
    if lists - {"states"}:
        raise SearchProblems(dict.fromkeys(lists - {"states"}, "this is a text, not a list"))
    form = SearchForm(dict(given))
    if not form.is_valid():
        raise SearchProblems(
            {name: " ".join(map(str, texts)) for name, texts in form.errors.items()}
        )
    return values_of(form.asked())


def delete_filter(principal: Principal, key: int) -> None:
    """Forget a search.

    Raises:
        NotFound: this person has none of that number.
    """
    deleted, _ = SavedFilter.objects.filter(owner=principal.user_id, pk=key).delete()
    if not deleted:
        raise NotFound("there is no such saved search of yours")
