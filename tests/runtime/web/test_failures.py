"""What breaks in a request: the page says under which number the log has it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.db import OperationalError
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive import queries
from isocenter.runtime.configuration import load_settings
from isocenter.runtime.health import Check
from isocenter.runtime.layout import Layout
from isocenter.runtime.logs import configure_logs
from isocenter.runtime.web import views as health

LogOf = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def visitor(db: None) -> Client:
    administrator = User.objects.create(username="somebody", role="administrator")
    token = create_token(administrator, ["all"]).text
    client = Client(headers={"Authorization": f"Bearer {token}"})
    client.raise_request_exception = False
    return client


@pytest.fixture
def log_of(tmp_path: Path) -> Iterator[LogOf]:
    """The lines that a web process would have written, by the platform's own configuration."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers = []  # `configure_logs` closes those that it finds
    configure_logs(load_settings(None, data_dir=tmp_path), "web")
    path = Layout(tmp_path).logs / "application.jsonl"
    yield (
        lambda: (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
    )
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.parametrize("error", [RuntimeError("a secret"), OperationalError("a secret")])
@pytest.mark.parametrize("place", ["/studies/9.8.7/", "/api/v1/studies/9.8.7"])
def test_what_breaks_is_in_the_log_under_the_number_that_is_shown(
    visitor: Client, log_of: LogOf, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(queries, "study", broken)
    answer = visitor.get(place, {} if "api" in place else {"text": "Doe"})
    assert answer.status_code == (500 if isinstance(error, RuntimeError) else 503)
    shown = answer.content.decode()
    assert "secret" not in shown
    assert "Traceback" not in shown
    (line,) = (line for line in log_of() if line["level"] == "error")
    assert line["id"] in shown
    assert line["event"] == ("api_failed" if "api" in place else "page_failed")
    assert (line["kind"], line["method"]) == (type(error).__name__, "GET")
    assert line["path"].replace("<uid:", "<") == place.replace("9.8.7", "<study_uid>")
    assert line["trace"][-1].endswith(" broken")
    assert not any(value in str(log_of()) for value in ("9.8.7", "Doe", "secret"))


def test_not_being_ready_is_no_error(
    log_of: LogOf, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.setattr(health, "check_all", lambda *_: {"disk": Check(False, "full")})
    assert Client().get("/health/ready").status_code == 503
    assert log_of() == []
