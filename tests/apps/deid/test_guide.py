"""The guide of projects says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isocenter.apps.audit.kinds import GROUPS
from isocenter.apps.deid.documents import ProjectDocument, PseudonymsDocument, read_file
from isocenter.runtime.deid_keys import VARIABLE

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "deidentification-projects.md").read_text()


def test_the_project_in_the_guide_can_be_used():
    [text] = re.findall(r"<!-- project -->\n```yaml\n(.*?)```", GUIDE, re.DOTALL)
    document, description = read_file(text)
    assert description
    assert document.pseudonyms.site == "CH-07"


def test_every_key_is_in_the_table_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| ", GUIDE, re.MULTILINE)
    assert [name for name, _ in rows] == list(ProjectDocument.model_fields)
    for name, told in rows:
        default = ProjectDocument.model_fields[name].default
        if isinstance(default, str) and default:
            assert told == f"`{default}`"
        elif isinstance(default, bool):
            assert told == f"`{str(default).lower()}`"


@pytest.mark.parametrize("word", [*PseudonymsDocument.model_fields, VARIABLE, "deid.key_file"])
def test_what_else_there_is_is_told(word):
    assert word in GUIDE


def test_events_are_named_as_they_are():
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", GUIDE)) - {VARIABLE}
    assert named < set(GROUPS["De-identification"])
