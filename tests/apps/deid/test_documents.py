"""Documents of projects: what they say, and what is wrong with one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.apps.deid.documents import (
    ProjectDocument,
    ProjectProblems,
    policy_of,
    read_document,
    read_file,
    write_document,
)
from isocenter.core.deid.policy import DEFAULT_POLICY, Option, PrivateKeep
from isocenter.core.deid.rules.presets import preset
from isocenter.core.errors import ConfigurationError

RULES = "rules:\n  - {tags: StudyDescription, action: keep}\n"


def test_the_default_is_the_basic_profile():
    assert policy_of(ProjectDocument()) == DEFAULT_POLICY
    assert ProjectDocument().pseudonyms.kind == "keyed"
    assert ProjectDocument().whole_studies


def test_everything_comes_into_the_policy():
    text = """
options: [clean-descriptors]
dates: shift
whole_weeks: true
keep_ages: true
pixels: templates
faces: deface
documents: drop
presets: [editor-17]
rules: |
  rules:
    - {tags: StudyDescription, action: keep}
private_keep:
  - {creator: "ACME 1.0", group: "0029", element: "10"}
  - {creator: "ACME 2.0", group: 0x0031}
words: [Rotterdam]
pseudonyms: {kind: pattern, pattern: "{site}-{counter}", site: CH, first: 5}
whole_studies: false
description: for them
"""
    document, description = read_file(text)
    policy = policy_of(document)
    assert description == "for them"
    assert Option.RETAIN_MODIFIED_DATES in policy.options
    assert Option.CLEAN_DESCRIPTORS in policy.options
    assert (policy.whole_weeks, policy.keep_ages) == (True, True)
    assert policy.private_keep == (
        PrivateKeep("ACME 1.0", 0x0029, 0x10),
        PrivateKeep("ACME 2.0", 0x0031),
    )
    assert policy.rules.rules[0].name == "rule 1"
    assert len(policy.rules.rules) == 1 + len(preset("editor-17").rules)
    assert document.folded_words() == ("rotterdam",)
    assert read_file(write_document(document, "for them")) == (document, "for them")


@pytest.mark.parametrize(
    ("values", "key", "text"),
    [
        ({"option": []}, "option", "no such key"),
        ({"options": ["clean-all"]}, "options[0]", "clean-descriptors"),
        ({"options": ["clean-pixel-data"]}, "pixels", "needs templates or ocr"),
        ({"options": ["clean-recognizable-visual-features"]}, "faces", "needs refuse"),
        ({"options": ["retain-full-dates"], "dates": "shift"}, "options", "contradict"),
        ({"dates": "hide"}, "dates", "'remove', 'shift' or 'keep'"),
        ({"whole_weeks": True}, "whole_weeks", "only where"),
        ({"keep_ages": True}, "keep_ages", "only where"),
        ({"presets": ["netrt", "x"]}, "presets[1]", "no preset"),
        ({"rules": RULES + "  - {tags: X, action: keep}\n"}, "rules", "line 3"),
        (
            {"rules": "rules:\n- {tags: StudyDescription, action: kep}"},
            "rules",
            "did you mean keep",
        ),
        ({"private_keep": [{"creator": "A", "group": "0028"}]}, "private_keep[0].group", "odd"),
        ({"private_keep": [{"creator": "A", "group": "xy"}]}, "private_keep[0].group", "hexa"),
        ({"private_keep": [{"group": 0x29}]}, "private_keep[0].creator", "required"),
        ({"words": ["a\0b"]}, "words", "NUL"),
        ({"pseudonyms": {"site": "\ud800"}}, "pseudonyms.site", "unicode"),
        ({"pseudonyms": {"kind": "random"}}, "pseudonyms.kind", "'keyed'"),
        (
            {"pseudonyms": {"kind": "pattern", "pattern": "{site}"}},
            "pseudonyms.pattern",
            "no {counter}",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_key(values, key, text):
    with pytest.raises(ProjectProblems) as caught:
        read_document(values)
    assert set(caught.value.problems) == {key}
    assert text in caught.value.problems[key]


def test_all_problems_are_told_at_once():
    with pytest.raises(ProjectProblems) as caught:
        read_document({"presets": ["x"], "rules": "no", "keep_ages": True})
    assert set(caught.value.problems) == {"presets[0]", "rules", "keep_ages"}


@pytest.mark.parametrize("text", ["- a list", "a: [", "a: &x 1\nb: *x", "[" * 100])
def test_a_file_that_is_no_document(text):
    with pytest.raises(ConfigurationError):
        read_file(text)


def test_off_needs_no_quotes():
    assert read_file("pixels: off")[0].pixels == "off"


@pytest.mark.parametrize(("group", "element"), [("0011", "10"), ("0029", "0A"), ("FFFD", None)])
def test_private_attributes_are_written_as_people_know_them(group, element):
    keep = {"creator": "A", "group": group, "element": element}
    text = write_document(read_document({"private_keep": [keep]}))
    assert group in text
    [back] = read_file(text)[0].private_keep
    assert (back.group, back.element) == (int(group, 16), element and int(element, 16))


def test_an_empty_file_is_the_default():
    assert read_file("") == (ProjectDocument(), None)


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("\n\r\x85\u2028 \t#:'\""),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(TEXT, st.lists(TEXT, max_size=3))
def test_any_text_comes_back(description, words):
    document = ProjectDocument(words=tuple(words))
    assert read_file(write_document(document, description)) == (document, description or None)


def test_a_rule_s_mistake_is_told_beside_that_of_another_key() -> None:
    rules = "rules:\n  - tags: OperatorName\n    action: remove\n"
    with pytest.raises(ProjectProblems) as caught:
        read_document({"dates": "shft", "rules": rules})
    assert set(caught.value.problems) == {"dates", "rules"}
    assert "OperatorName" in caught.value.problems["rules"]
