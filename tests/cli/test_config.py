"""``isocenter config``, ``version``, ``doctor``, and the root command."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from isocenter import __version__
from isocenter.cli.main import COMMANDS, build
from isocenter.cli.platform import run


@pytest.fixture(autouse=True)
def _data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ISOCENTER_DATA_DIR", str(tmp_path / "data"))


def _isocenter(*arguments: str) -> int:
    return run(build(arguments[:1]), arguments)


def test_show_prints_what_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert _isocenter("config", "show") == 0

    shown = yaml.safe_load(capsys.readouterr().out)

    assert shown["receiver"]["ae_title"] == "ISOCENTER"


def test_show_hides_the_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOCENTER_DATABASE_URL", "postgresql://me:hush@db.example:5432/x")

    assert _isocenter("config", "show", "--json") == 0

    printed = capsys.readouterr().out
    assert "hush" not in printed
    assert json.loads(printed)["database_url"] == "postgresql://me:…@db.example:5432/x"


def test_check_says_well_or_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISOCENTER_SOMETHING", "1")
    assert _isocenter("config", "check") == 0
    said = capsys.readouterr()
    assert "well" in said.out
    assert "ISOCENTER_SOMETHING sets nothing" in said.err

    path = tmp_path / "wrong.yaml"
    path.write_text("completion:\n  debonce_s: 3\n")
    assert _isocenter("config", "check", "--config", str(path)) == 1
    error = capsys.readouterr().err
    assert "line 2" in error
    assert "completion.debounce_s" in error


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert _isocenter("version") == 0
    assert capsys.readouterr().out == f"isocenter {__version__}\n"
    assert _isocenter("version", "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__


def test_doctor_names_who_holds_a_port_and_how_to_mend_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("ISOCENTER_WEB__PORT", str(listener.getsockname()[1]))
        monkeypatch.setenv("ISOCENTER_RECEIVER__PORT", "0")
        assert _isocenter("doctor", "--json") == 1

    findings = json.loads(capsys.readouterr().out)
    (wrong,) = [finding for finding in findings if finding["level"] == "wrong"]
    assert wrong["what"] == "HTTP port"
    assert "held by" in wrong["text"]
    assert "--http-port" in wrong["mend"]


def test_a_command_without_a_platform_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "isocenter.cli.main", "db", "url"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"isocenter up --data-dir {tmp_path / 'data'}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_root_lists_every_command_and_imports_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _isocenter("--help") == 0
    printed = capsys.readouterr().out
    for name in COMMANDS:
        assert name in printed
    command = [sys.executable, "-X", "importtime", "-m", "isocenter.cli.main", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "django" not in done.stderr
    assert "numpy" not in done.stderr


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _isocenter("confg") == 2
    assert "confg" in capsys.readouterr().err


def test_a_certificate_that_is_not_there_is_no_configuration_that_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "isocenter.yaml").write_text("receiver: {tls: {certificate: /nope.pem}}\n")

    assert _isocenter("config", "check", "--data-dir", str(tmp_path)) == 1

    said = capsys.readouterr()
    assert "receiver.tls.certificate: there is no /nope.pem" in said.err
    assert "is well" not in said.out
