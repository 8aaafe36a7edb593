"""Commands on the installation of a test, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from isocenter.cli.main import build
from isocenter.core.errors import IsocenterError
from isocenter.runtime.layout import Layout

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(installation: Layout) -> Cli:
    """Runs a command on this test's installation; (exit code, stdout, stderr)."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        result = CliRunner().invoke(
            build([arguments[0]]),
            [*arguments],
            input=stdin,
            env={"ISOCENTER_DATA_DIR": str(installation.root)},
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            assert isinstance(result.exception, IsocenterError), result.exception
            return 1, result.stdout, str(result.exception)
        return result.exit_code, result.stdout, result.stderr

    return run
