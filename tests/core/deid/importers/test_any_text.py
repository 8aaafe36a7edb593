"""Whatever stands in a file of another tool: rules, a list of what is not mapped, or a plain no."""

from __future__ import annotations

import contextlib
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isocenter.core.deid.importers import IMPORTERS, import_ctp, import_karnak, import_recipe
from isocenter.core.deid.importers.imported import Imported
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.errors import ConfigurationError

SECRET, ALIAS = Secret(bytes(32)), PatientAlias("P", "P", -1)


def check(found: Imported) -> None:
    """The rules can be written, read, and asked."""
    assert RuleSet.from_yaml(found.rules.to_yaml()) == found.rules
    for value in ("", "a\\1", "20200101"):
        for vr in ("LO", "DA", "IS", "US"):
            found.rules.match((0x00104000,), "", vr, value, {}.get, secret=SECRET, patient=ALIAS)


def words(*vocabulary: str) -> st.SearchStrategy[str]:
    """Texts of words of a language, and of whatever else."""
    return st.lists(st.sampled_from(vocabulary) | st.text(max_size=3), max_size=12).map("".join)


@pytest.mark.parametrize("kind", IMPORTERS)
@given(text=st.text(max_size=100))
@settings(max_examples=30)
def test_any_text(kind: str, text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        check(IMPORTERS[kind](text))


XML_LETTERS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=4)


@given(
    st.lists(
        st.sampled_from(
            ["@", "if", "hash", "contents", "round", "truncate", "modifydate", "append", "select",
             "always", "(", ")", "{", "}", ",", "this", "PatientID", "Modality", '"', "equals",
             "matches", "1", "-3", "\\", "@P", "["]
        ) | XML_LETTERS,
        max_size=15,
    ).map("".join)
)  # fmt: skip
@settings(max_examples=150)
@example("@if(this,matches,{}){}{}")
@example('@contents(this,"(","$9")')
@example("@truncate(this,99999999999999999999)")
@example("@modifydate(this,99999,99,*)")
@example("@incrementdate(this,99999999999999999999999)")
@example("0\x850")
@example("@if(" * 3000)
@example("@if(this,exists){" * 300 + "}{}" * 300)
def test_any_ctp_script(script: str) -> None:
    check(
        import_ctp(
            f'<script><p t="P">x</p><e en="T" t="00104000" n="PatientComments">{escape(script)}'
            "</e></script>"
        )
    )


@given(
    words("stringValue", "==", "'a'", "?", ":", "Keep()", "Remove()", "null", "tag", "vr", "#VR.LO",
          "#Tag.PatientID", "getString(", ")", "(", "!", " and ", "||", "Replace(", "+",
          ".matches("),
    words("tagIsPresent(", "tagValueContains(", "'0010,0010'", ",", ")", "(", "!", "&&", " or ")
)  # fmt: skip
@settings(max_examples=150)
@example("!" * 5000 + "true ? Keep() : Remove()", "")
@example("(" * 5000, "")
@example("true ? " * 2000, "")
def test_any_karnak_expression(expression: str, condition: str) -> None:
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    with contextlib.suppress(ConfigurationError):
        check(
            import_karnak(
                "profileElements:\n  - name: n\n    codename: expression.on.tags\n"
                f"    condition: {quoted(condition)}\n"
                f"    arguments: {{expr: {quoted(expression)}}}\n    tags: ['(xxxx,xxxx)']\n"
            )
        )


@given(
    words("KEEP ", "REMOVE ", "JITTER ", "REPLACE ", "%header\n", "%fields x\n", "FIELD ", "\n",
          "PatientID", "ALL", " ", "contains:", "endswith:Date", "select:VR:", "fields:x", "var:a",
          "deid_func:jitter days=", "1", "(0010,0020)", "except:")
)  # fmt: skip
@settings(max_examples=150)
def test_any_recipe(lines: str) -> None:
    check(import_recipe(f"FORMAT dicom\n%header\n{lines}"))


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "a: &a {not: *a}", "[" * 60 + "]" * 60, "{a: " * 2000, "x: 1\n" * 500_000],
)
def test_what_would_never_end_is_refused(text: str) -> None:
    for read in (RuleSet.from_yaml, import_karnak):
        with pytest.raises(ConfigurationError):
            read(text)
