"""The guide says what the code does."""

from __future__ import annotations

from pathlib import Path

from isocenter.apps.accounts.rights import ROLE_RIGHTS, SCOPES, Right
from isocenter.apps.accounts.wording import RIGHT_TEXTS, ROLE_TEXTS

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "people.md"


def test_the_table_of_rights_is_the_one_in_force():
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    roles = head[2:]
    assert roles == list(ROLE_RIGHTS)
    assert body == [
        [f"`{right}`", RIGHT_TEXTS[right]]
        + ["yes" if right in ROLE_RIGHTS[role] else "" for role in roles]
        for right in Right
    ]


def test_the_scope_read_is_told_as_it_is():
    told = "`read` (`view`, `view-identified`, `download`, `view-events`)"
    assert told in GUIDE.read_text().replace("\n", " ")
    names = ("view", "view-identified", "download", "view-events")
    assert SCOPES["read"] == {Right(name) for name in names}


def test_every_role_and_right_has_words():
    assert set(ROLE_TEXTS) == set(ROLE_RIGHTS)
    assert set(RIGHT_TEXTS) == set(Right)
