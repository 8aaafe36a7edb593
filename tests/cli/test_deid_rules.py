"""``isocenter deid-rules``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from isocenter.cli.main import build
from isocenter.cli.platform import run
from isocenter.core.deid.rules.site_rules import RuleSet

SCRIPT = """<script>
<e en="T" t="00081030" n="StudyDescription">@remove()</e>
<e en="T" t="00080080" n="InstitutionName">@initials(this)</e>
<e en="T" t="00120064" n="DeIdentificationMethodCodeSeq">113100/113105</e>
<r en="T" t="privategroups" n=""/>
</script>"""


def isocenter(*arguments: str | Path) -> int:
    words = [str(argument) for argument in arguments]
    return run(build(words[:1]), words)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "anonymizer.script"
    path.write_text(SCRIPT)
    return path


def test_rules_are_taken_over_and_the_rest_is_listed(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "site.yaml"
    assert isocenter("deid-rules", "import", "ctp", script, "-o", target) == 0
    told = capsys.readouterr().err
    assert "line 3: not mapped: 00080080 InstitutionName: @initials(this)" in told
    assert "1 rules, 0 changed, 1 not mapped" in told
    assert target.read_text().startswith("# use with: --option clean-descriptors\n")
    assert len(RuleSet.from_yaml(target).rules) == 1
    assert isocenter("deid-rules", "check", target) == 0
    assert "1 rules" in capsys.readouterr().out
    assert isocenter("deid-rules", "import", "ctp", script, "-o", target) == 1
    assert "is there already" in capsys.readouterr().err


def test_strictly_nothing_may_be_left(script: Path) -> None:
    assert isocenter("deid-rules", "import", "ctp", script, "--strict") == 1


def test_rules_go_to_standard_output_alone(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isocenter("deid-rules", "import", "ctp", script) == 0
    assert yaml.safe_load(capsys.readouterr().out)["rules"][0]["action"] == "remove"
    assert isocenter("deid-rules", "import", "ctp", script, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["options"] == ["clean-descriptors"]
    assert answer["unmapped"][0]["line"] == 3


def test_what_is_wrong_is_told_without_a_traceback(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isocenter("deid-rules", "check", script) == 1
    assert "line 1" in capsys.readouterr().err
    assert isocenter("deid-rules", "import", "other", script) == 2
    assert "there is no importer" in capsys.readouterr().err
    assert isocenter("deid-rules", "import", "karnak", script) == 1
    assert "profileElements" in capsys.readouterr().err


def test_presets_are_shown_and_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isocenter("deid-rules", "preset") == 0
    assert capsys.readouterr().out.split() == ["netrt", "editor-17"]
    assert isocenter("deid-rules", "preset", "netrt") == 0
    path = tmp_path / "netrt.yaml"
    path.write_text(capsys.readouterr().out)
    assert RuleSet.from_yaml(path).name == "netrt"
    assert isocenter("deid-rules", "preset", "nothing") == 1
