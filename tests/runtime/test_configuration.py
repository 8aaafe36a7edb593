"""Where settings come from, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.configuration import known_keys, load_settings, nearest_key
from isocenter.runtime.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ISOCENTER_DATA_DIR", str(tmp_path))


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "isocenter.yaml"
    path.write_text(text)
    return path


def test_each_layer_wins_over_the_one_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "receiver: {port: 1001, ae_title: FILE, max_pdu: 20000}\n")
    monkeypatch.setenv("ISOCENTER_RECEIVER__PORT", "1002")
    monkeypatch.setenv("ISOCENTER_RECEIVER__AE_TITLE", "ENVIRONMENT")

    settings = load_settings(receiver={"port": 1003, "max_associations": None})

    assert settings.receiver.port == 1003
    assert settings.receiver.ae_title == "ENVIRONMENT"
    assert settings.receiver.max_pdu == 20000
    assert settings.receiver.max_associations == Settings().receiver.max_associations


def test_a_named_file_counts_in_place_of_the_one_in_the_data_directory(tmp_path: Path) -> None:
    _write(tmp_path, "web: {port: 1}\n")
    other = tmp_path / "other.yaml"
    other.write_text("web: {port: 2}\n")

    assert load_settings().web.port == 1
    assert load_settings(other).web.port == 2
    with pytest.raises(ConfigurationError, match="no configuration file"):
        load_settings(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("RECEIVER__HOSTS", "127.0.0.1, ::1", ("127.0.0.1", "::1")),
        ("RECEIVER__HOSTS", '["127.0.0.1"]', ("127.0.0.1",)),
        ("RECEIVER__CHECK_CALLED_AE_TITLE", "yes", True),
        ("RECEIVER__AE_TITLE", "007", "007"),
        ("QUARANTINE__QUOTA_MB", "", None),
        ("COMPLETION__DEBOUNCE_S", "2.5", 2.5),
    ],
)
def test_values_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: object
) -> None:
    monkeypatch.setenv(f"ISOCENTER_{name}", text)

    section, key = name.lower().split("__")

    assert getattr(getattr(load_settings(), section), key) == expected


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _write(tmp_path, "reports: {folder: ~/reports}\n")

    assert load_settings().reports.folder == tmp_path / "reports"
    assert load_settings(data_dir="~/here").data_dir == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web: {port: 1}\nreciever:\n  port: 2\n", ["reciever", "line 2", "'receiver'"]),
        ("receiver:\n  prot: 2\n", ["receiver.prot", "line 2", "'receiver.port'"]),
        ("debounce_s: 3\n", ["debounce_s", "line 1", "'completion.debounce_s'"]),
        ("receiver:\n  port: many\n", ["receiver.port", "line 2", "'many'", "whole number"]),
        ("receiver:\n  tls:\n    cert: x\n", ["receiver.tls.cert", "line 3"]),
        ("- a\n", ["expected keys"]),
        ("a: [\n", ["is no YAML"]),
        ("web:\n  port: 1\n  port: 2\n", ["web.port", "line 3", "twice"]),
        ("receiver: 104\n", ["receiver", "line 1", "keys are expected"]),
        ("receiver:\n  hosts: any\n", ["receiver.hosts", "a list"]),
        ("completion: {debounce_s: 60, force_complete_s: 5}\n", ["force_complete_s", "debounce_s"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = _write(tmp_path, text)

    with pytest.raises(ConfigurationError) as refused:
        load_settings()

    for part in [str(path), *parts]:
        assert part in str(refused.value)


def test_what_is_wrong_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_WORKERS__RUNZ", "3")

    with pytest.raises(ConfigurationError, match=r"ISOCENTER_WORKERS__RUNZ.*'workers.runs'"):
        load_settings()


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    _write(tmp_path, "web: {port: -1}\nlogs: {level: LOUD}\n")

    with pytest.raises(ConfigurationError) as refused:
        load_settings()

    assert "web.port" in str(refused.value)
    assert "logs.level" in str(refused.value)


def test_nearest_keys() -> None:
    assert nearest_key(("completion", "debounce")) == "completion.debounce_s"
    assert nearest_key(("ae_title",)) == "receiver.ae_title"
    assert nearest_key(("xyzzy",)) == ""
    assert ("receiver", "tls", "ca") in known_keys()
