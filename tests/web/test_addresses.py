"""Whatever stands in an address: pages and the API answer it, or say no; nothing breaks."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from isocenter.apps.archive.models import Revision, Study
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event
from isocenter.apps.audit.services import record
from isocenter.apps.deid.services import ProjectDocument, create_project
from isocenter.apps.routing.models import Delivery, Pipeline, QuarantineItem, Route, Run, RunStep
from isocenter.apps.transfers.models import Node
from signed_in import browser

STUDY = "1.2.3.4"
ODD = (
    "",
    "\x00",
    "9999-12-31",
    "0001-01-01",
    "9999-12-31T23:59:59-12:00",
    "-1",
    "9" * 25,
    "n9" + "9" * 24 + ".1",
    "o253402300799999999.9223372036854775807",
    "²",
    "%00' \\ {{x}} \r\nX: 1",
    "\U0001f600" * 300,
)
ALONE = ("9999-12-31", "9" * 25)
ALWAYS = ("part", "page", "have", "next")
NO_ERROR = {"ready": 503}  # nothing runs here


@dataclass(frozen=True)
class Stock:
    """One row of each kind, by the names that addresses have for it."""

    keys: dict[str, object]
    client: Client


@pytest.fixture
def stock(db: None) -> Stock:
    now = timezone.now()
    study = Study.objects.create(
        study_uid=STUDY, state="complete", first_received_at=now, last_received_at=now, revision=1
    )
    revision = Revision.objects.create(study=study, number=1, reason="complete", instance_count=0)
    pipeline = Pipeline.objects.create(name="overlay", steps=[])
    Route.objects.create(name="to-pacs", pipeline=pipeline, condition="true", completion={})
    run = Run.objects.create(
        pipeline_name="overlay", definition={"steps": []}, study=study, revision=revision
    )
    RunStep.objects.create(run=run, index=1, name="select")
    Delivery.objects.create(run=run, study=study, node_name="pacs")
    Node.objects.create(name="pacs", kind="folder")
    item = QuarantineItem.objects.create(kind="instance", reason="no DICOM")
    create_project("trial", ProjectDocument(), actor="somebody")
    record(Kind.STUDY_COMPLETE, study_uid=STUDY)
    keys = {
        "study_uid": STUDY,
        "run_id": run.pk,
        "event_id": Event.objects.latest("pk").pk,
        "item_id": item.pk,
        "index": 1,
    }
    return Stock(keys, browser())


def patterns(found: list[URLPattern | URLResolver] | None = None) -> Iterator[URLPattern]:
    for each in get_resolver().url_patterns if found is None else found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


NOWHERE = ("api-nothing", "dicomweb-nothing", "sign-out")
PATTERNS = [each for each in patterns() if each.name not in NOWHERE]
PAGES = [each for each in PATTERNS if not str(each.name).startswith("api-")]
SAMPLES = {"int": 1, "uid": "1.2.3.4", "uuid": uuid.UUID(int=7)}


def address_of(pattern: URLPattern, keys: dict[str, object]) -> str:
    converters = pattern.pattern.converters
    kinds = {
        key: type(each).__name__.removesuffix("Converter").lower()
        for key, each in converters.items()
    }
    names = {
        "routes": "to-pacs", "nodes": "pacs", "pipelines": "overlay", "projects": "trial",
    }  # fmt: skip
    place = str(pattern.pattern).split("/")[0]
    given = {
        key: keys.get(key, SAMPLES.get(kind, names.get(place, "nil")))
        for key, kind in kinds.items()
    }
    return reverse(str(pattern.name), kwargs=given)


def parameters_of(text: str, path: str) -> set[str]:
    """Names of what a page's own forms and links ask it, but for what is only posted."""
    text = re.sub(r'<form[^>]*method="post".*?</form>', "", text, flags=re.DOTALL)
    found = set(re.findall(r'\bname="([a-z_]+)"', text))
    for link in re.findall(r'(?:href|hx-get|action)="([^"]*\?[^"]*)"', text):
        parts = urlsplit(html.unescape(link))
        if parts.path in ("", path):
            found |= set(parse_qs(parts.query, keep_blank_values=True))
    return found - {"csrfmiddlewaretoken"}


@pytest.mark.parametrize("pattern", PAGES, ids=lambda pattern: pattern.name)
def test_no_parameter_of_a_page_breaks_it(stock: Stock, pattern: URLPattern) -> None:
    broken = []
    client = stock.client
    client.raise_request_exception = False
    path = address_of(pattern, stock.keys)
    first = client.get(path)
    if first.status_code == 405:
        return  # it is only posted to
    text = b"" if first.streaming else first.content
    names = parameters_of(text.decode("utf-8", "replace"), path) | {*ALWAYS}
    asked = [dict.fromkeys(names, value) for value in ODD]
    asked += [{name: value} for name in sorted(names) for value in ALONE]
    for query in asked:
        answer = client.get(path, query)
        if answer.status_code >= 500 and NO_ERROR.get(pattern.name) != answer.status_code:
            broken.append(f"{answer.status_code} {path} {query}")
    assert broken == []


def test_no_parameter_of_the_api_breaks_it(stock: Stock) -> None:
    broken = []
    client = stock.client
    client.raise_request_exception = False
    described = client.get("/api/v1/openapi.json").json()["paths"]
    for path, methods in described.items():
        names = [
            each["name"]
            for each in methods.get("get", {}).get("parameters", ())
            if each["in"] == "query"
        ]
        place = re.sub(r"{(\w+)}", lambda found: str(stock.keys.get(found[1], 1)), path)
        for name in names:
            for value in ODD[1:9]:
                answer = client.get(place, {name: value})
                if answer.status_code >= 500:
                    broken.append(f"{answer.status_code} {place} {name}={value!r}")
    assert broken == []


@pytest.mark.parametrize(
    "address",
    [
        "/studies/%00/",
        "/studies/%2500/",
        "/groups/%00/",
        "/runs/?pipeline=a%00b",
        "/no/such/%00",
        "/static/%00",
    ],
)
def test_a_nul_names_nothing(stock: Stock, address: str) -> None:
    answer = stock.client.get(address)
    assert answer.status_code == 404
