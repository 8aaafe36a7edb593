"""Where peers are required, tests that miss one fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from required_peers import are_required, is_missing_peer

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("environment", "is_root", "on_debian", "required"),
    [
        ({}, True, True, False),
        ({"CI": "true"}, True, True, True),
        ({"CI": "false"}, True, True, False),
        ({"CI": "true"}, False, True, False),
        ({"CI": "true"}, True, False, False),
        ({"CI": "true", "PEERS_REQUIRED": "0"}, True, True, False),
        ({"PEERS_REQUIRED": "1"}, False, False, True),
    ],
)
def test_where_they_are(
    environment: dict[str, str], is_root: bool, on_debian: bool, required: bool, tmp_path: Path
) -> None:
    version = tmp_path / "debian_version"
    if on_debian:
        version.write_text("12")
    assert are_required(environment, is_root=is_root, debian_version=version) is required


def test_what_is_a_missing_peer() -> None:
    assert is_missing_peer("Skipped: storescu is not installed")
    assert is_missing_peer("Skipped: not installed: dciodvfy (make peers)")
    assert not is_missing_peer("Skipped: no reference data in /x")
    assert not is_missing_peer("Skipped: only root may mount a small disk")
    assert not is_missing_peer("no plastimatch is not installed")


@pytest.mark.parametrize(("said", "failed", "skipped"), [("1", 1, 1), ("0", 0, 2)])
def test_a_test_that_misses_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, said: str, failed: int, skipped: int
) -> None:
    monkeypatch.setenv("PEERS_REQUIRED", said)
    hook = Path(__file__).parents[1].joinpath("conftest.py").read_text()
    start = hook.index("@pytest.hookimpl(hookwrapper=True)")
    end = hook.index("@pytest.hookimpl(optionalhook=True)")
    pytester.makeconftest(f"import os, pytest\nfrom typing import Any\n{hook[start:end]}")
    pytester.makepyfile(
        "import pytest\n"
        "def test_peer(): pytest.skip('storescu is not installed')\n"
        "def test_data(): pytest.skip('no reference data')\n"
    )
    pytester.runpytest("-p", "no:django", "-p", "no:cacheprovider").assert_outcomes(
        failed=failed, skipped=skipped
    )
