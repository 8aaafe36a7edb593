"""The examples of docs/guides/api.md work as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "api.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="not installed: curl")
# WinZip's format prescribes what the library warns of.
@pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")
def test_every_example_works(live_server: Any, admin: Any, study_uid: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.S)
    commands = "\n".join(block for block in blocks if "curl" in block)
    assert commands.count("curl") >= 18
    done = subprocess.run(
        ["sh", "-ex"],
        input=commands.replace("/tmp/isocenter-results", str(tmp_path / "results")),
        env={
            "PATH": "/usr/bin:/bin",
            "ISOCENTER": live_server.url,
            "TOKEN": admin.token,
            "STUDY": study_uid,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert study_uid in done.stdout
