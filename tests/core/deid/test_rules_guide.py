"""The guide to rules says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isocenter.core.deid.importers import IMPORTERS
from isocenter.core.deid.pseudonyms.files import COLUMNS, parse_csv
from isocenter.core.deid.rules.file import _PARAMETERS, _RULE_KEYS
from isocenter.core.deid.rules.presets import PRESETS
from isocenter.core.deid.rules.site_rules import TEST_KINDS, RuleSet
from isocenter.core.deid.rules.tag_patterns import TagPattern
from isocenter.core.deid.rules.values import ChangeKind
from isocenter.core.errors import ConfigurationError

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "deidentification-rules.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"<!-- {kind} -->\n```\w+\n(.*?)```", GUIDE, re.DOTALL)


def table(head: str) -> list[list[str]]:
    """The cells of the table that begins with a line."""
    lines = GUIDE.splitlines()
    rows = []
    for line in lines[lines.index(head) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("text", blocks("rules"))
def test_examples_can_be_used(text: str) -> None:
    rules = RuleSet.from_yaml(text)
    assert rules.rules
    assert RuleSet.from_yaml(rules.to_yaml()) == rules


def test_the_wrong_example_is_refused_in_these_words() -> None:
    (text,) = blocks("refused")
    with pytest.raises(ConfigurationError) as caught:
        RuleSet.from_yaml(text)
    assert f"```text\n{caught.value}\n```" in GUIDE


def test_the_list_of_pseudonyms_can_be_used() -> None:
    (text,) = blocks("pseudonyms")
    assert len(parse_csv(text)) == 3
    assert text.splitlines()[0] == ",".join(COLUMNS)


def test_keys_actions_tests_and_patterns_are_all_told() -> None:
    assert [names(row[0])[0] for row in table("| key | what it says |")] == list(_RULE_KEYS)
    actions = {names(row[0])[0]: names(row[1]) for row in table("| action | with | does |")}
    assert actions == {kind.value: list(_PARAMETERS.get(kind, {})) for kind in ChangeKind}
    for kind in TEST_KINDS:
        assert f"`{kind}`" in GUIDE
    for row in table("| written | means |"):
        for pattern in names(row[0]):
            TagPattern(pattern)


def test_presets_and_importers_are_all_told() -> None:
    assert [names(row[0])[0] for row in table("| name | what it has |")] == list(PRESETS)
    told = re.findall(r"deid-rules import (\w+)", GUIDE)
    assert sorted(told) == sorted(IMPORTERS)
