"""The commands of the guide do what it says, in its order."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from isocenter.cli.main import build
from isocenter.cli.platform import run

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "deidentification.md"


def test_the_commands_of_the_guide_run(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "STUDY").mkdir()
    for path in sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))[:2]:
        shutil.copy(path, "STUDY")
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line]
    assert len(commands) >= 7
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "isocenter"
        assert run(build(arguments), arguments) == 0, command
    folders = sorted(path.parent.name for path in tmp_path.glob("OUT*/report.html"))
    assert folders == ["OUT", "OUT2", "OUT4", "OUT5", "OUT6"]
    assert "HD_0001" in Path("trial.key.pseudonyms.csv").read_text("utf-8")
