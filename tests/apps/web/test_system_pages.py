"""System and settings pages, error pages, static files."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_configuration
from django.contrib.staticfiles import finders
from django.template import Context, Template
from django.test import Client

from isocenter.apps.web.templatetags.isocenter import identity, moment, state_badge
from isocenter.runtime.configuration import load_settings
from isocenter.runtime.overview import overview
from isocenter.runtime.settings_in_force import settings_in_force
from isocenter.runtime.web.sealed import seal, unseal
from isocenter.runtime.web.static import version_of

Look = MakeStudy = Callable[..., Any]


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def test_the_system_page_says_what_is_wrong(look: Look, study: MakeStudy) -> None:
    study(state="held")
    text = text_of(look().get("/system/"))
    for shown in ("Something needs attention", "the receiver does not run", "PostgreSQL", "held"):
        assert shown in text
    part = text_of(look().get("/system/?part=1"))
    assert part.lstrip().startswith('<div id="system"')
    assert look("physician").get("/system/").status_code == 403


def test_the_overview_lives_without_a_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from isocenter.runtime import health

    def broken(*_: object) -> health.Check:
        raise OSError("gone")

    monkeypatch.setattr(health, "database", broken)
    found = overview(django_configuration.ISOCENTER, django_configuration.LAYOUT)
    assert not found.is_well
    assert (found.counts, found.queues, found.database) == ({}, [], {})


def test_settings_say_where_they_were_written(
    look: Look, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "isocenter.yaml"
    file.write_text("receiver:\n  port: 104\ncompletion:\n  sources:\n    CT1: {debounce_s: 5}\n")
    monkeypatch.setenv("ISOCENTER_RECEIVER__AE_TITLE", "GATE")
    monkeypatch.setenv("ISOCENTER_DATABASE_URL", "postgresql://me:topsecret@db/x")
    settings = load_settings(file, data_dir=tmp_path, web={"port": 81})
    rows = {row.key: row for group in settings_in_force(settings) for row in group.settings}
    assert rows["receiver.port"].place == f"{file}, line 2"
    assert rows["receiver.ae_title"].place == "environment variable ISOCENTER_RECEIVER__AE_TITLE"
    assert rows["web.port"].place == "--web.port"
    assert rows["completion.sources"].value == "CT1: debounce_s=5.0"
    assert rows["completion.sources"].place == f"{file}, line 4"
    assert rows["receiver.max_pdu"].place == "default"
    assert not rows["receiver.max_pdu"].is_changed
    assert "topsecret" not in str(rows)
    (only,) = settings_in_force(settings, "ae_title", changed_only=True)
    assert [row.value for row in only.settings] == ["GATE"]


def test_the_settings_page_can_be_searched(look: Look) -> None:
    text = text_of(look().get("/settings/"))
    assert "receiver.ae_title" in text
    assert "ISOCENTER_RECEIVER__AE_TITLE" in text
    text = text_of(look().get("/settings/?search=reserve"))
    assert "storage.reserve_mb" in text
    assert "receiver.ae_title" not in text
    assert "No setting matches" in text_of(look().get("/settings/?search=zzz"))
    assert look("staff").get("/settings/").status_code == 403


def test_error_pages_stand_in_the_layout(look: Look, db: None) -> None:
    answer = look().get("/no-such-page")
    assert answer.status_code == 404
    assert "There is no such page" in text_of(answer)
    assert "To the studies" in text_of(answer)
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/", {"text": "x"})
    assert answer.status_code == 403
    assert "This form has expired" in text_of(answer)


def test_what_breaks_shows_no_trace(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    from isocenter.apps.web import views

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the program")

    monkeypatch.setattr(views, "first_page", broken)
    browser = look()
    browser.raise_request_exception = False
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "Something went wrong" in text_of(answer)
    assert "secret" not in text_of(answer)
    assert "Traceback" not in text_of(answer)


def test_pages_are_not_kept_and_load_nothing_from_elsewhere(look: Look) -> None:
    answer = look().get("/")
    assert answer["Cache-Control"] == "no-store"
    policy = answer["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    sources = re.findall(r'(?:src|href)="(/static/[^"]+)"', text_of(answer))
    assert len(sources) >= 7
    for source in sources:
        file = Client().get(source)
        assert file.status_code == 200, source
        assert file["Cache-Control"] == "public, max-age=31536000, immutable", source


def test_static_files_are_packed_where_the_browser_takes_it() -> None:
    name = "vendor/tabler.min.css"
    packed = Client().get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    plain = Client().get(f"/static/{name}")
    assert len(packed.content) < len(plain.content) / 4
    assert plain["Cache-Control"] == "no-cache", "an address without a digest may change"
    assert version_of(name) != version_of("web/app.css")
    assert version_of("no/such.css") == ""
    assert Client().get("/static/no/such.css").status_code in (302, 404)


def test_vendored_files_name_nothing_outside() -> None:
    for name in ("tabler.min.css", "tabler-icons.min.css", "tabler.min.js", "htmx.min.js"):
        path = finders.find(f"vendor/{name}")
        assert isinstance(path, str)
        text = Path(path).read_text(encoding="utf-8")
        assert "sourceMappingURL" not in text
        assert not re.findall(r"url\(['\"]?(?:https?:)?//|@import", text)


def test_identity_is_hidden_where_nobody_looks(db: None) -> None:
    assert identity({"patient_name": "Doe^Jane"}, "patient_name") == "hidden"
    assert identity({"patient_name": ""}, "patient_name") == ""
    shown = Template("{% load isocenter %}{{ row|identity:'patient_id' }}")
    assert shown.render(Context({"row": {"patient_id": "X"}})) == "hidden"


def test_badges_and_moments_escape_what_they_show() -> None:
    assert "&lt;b&gt;" in state_badge("<b>")
    assert "bg-red-lt" in state_badge("failed")
    assert 'datetime="2020-01-01T00:00:00+00:00"' in moment("2020-01-01T00:00:00")
    assert moment("not a time") == "not a time"
    assert moment(None, "–") == "–"


def test_what_is_sealed_can_be_opened_and_not_made_up() -> None:
    text = seal({"patient_name": "Müller"})
    assert unseal(text) == {"patient_name": "Müller"}
    assert unseal(text[:-4] + "AAAA") == {}
    assert unseal("") == unseal("x" * 500) == unseal("ü") == {}
