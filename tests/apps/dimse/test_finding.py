"""C-FIND over the archive's search: who may ask, what is asked and answered, how it fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.archive.queries import Level, Match, Question
from isocenter.apps.dimse import answering, finding
from isocenter.apps.dimse.services import ArchiveFinder
from isocenter.apps.transfers.queries import Caller
from isocenter.core.network.answers import Field
from isocenter.core.network.identifiers import Identifier
from isocenter.core.network.query_model import Query, QueryLevel, QueryRefused
from isocenter.core.network.services import AssociationInfo
from isocenter.core.network.sop_classes import PATIENT_ROOT_FIND, STUDY_ROOT_FIND

pytestmark = pytest.mark.django_db

INFO = AssociationInfo("1", "ASKER", "ISOCENTER", "127.0.0.1", {})
NAME, STUDY, UNKNOWN = 0x00100010, 0x0020000D, 0x00104000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Questions that the search was asked; it finds three studies."""
    questions: list[Question] = []

    def search(question: Question) -> Iterator[Match]:
        questions.append(question)
        return iter([Match({NAME: (f"Doe^{n}",), STUDY: (f"1.{n}",)}) for n in range(3)])

    monkeypatch.setattr(finding, "search", search)
    allow(monkeypatch, DimseRight.QUERY)
    return questions


def allow(monkeypatch: pytest.MonkeyPatch, *rights: DimseRight) -> None:
    monkeypatch.setattr(answering, "caller", lambda *_, **__: Caller("asker", frozenset(rights)))


def query(sop_class: str = STUDY_ROOT_FIND, **changes: Any) -> Query:
    values: dict[str, Any] = {
        "identifier": Identifier({NAME: "Doe*", STUDY: "", 0x00080052: "STUDY"}),
        **changes,
    }
    return Query(sop_class, QueryLevel.STUDY, **values)


def test_keys_are_asked_and_answered_with_the_unique_ones(asked: list[Question]) -> None:
    findings = ArchiveFinder().find(query(), INFO)
    first = next(findings.answers)
    assert findings.fields == [Field(NAME, "PN"), Field(STUDY, "UI")]
    assert first == [("Doe^0",), ("1.0",)]
    assert not findings.is_partial
    (question,) = asked
    assert question.level is Level.STUDY
    assert dict(question.keys) == {NAME: "Doe*", STUDY: ""}
    assert question.is_bare
    assert not question.fuzzy


def test_in_the_patient_root_an_answer_names_its_patient(asked: list[Question]) -> None:
    findings = ArchiveFinder().find(query(PATIENT_ROOT_FIND, is_fuzzy=True), INFO)
    assert [field.tag for field in findings.fields] == [NAME, 0x00100020, STUDY]
    assert asked[0].fuzzy


def test_a_key_that_the_index_has_not_makes_answers_partial(asked: list[Question]) -> None:
    identifier = Identifier({UNKNOWN: "", STUDY: ""})
    findings = ArchiveFinder().find(query(identifier=identifier), INFO)
    assert findings.is_partial
    assert [field.tag for field in findings.fields] == [STUDY]


def test_a_sequence_key_has_one_item(asked: list[Question]) -> None:
    item = Identifier({0x00401001: "P1"})
    two = Identifier({}, {0x00400275: (item, item)})
    with pytest.raises(QueryRefused) as refused:
        ArchiveFinder().find(query(identifier=two), INFO)
    assert refused.value.status == 0xA900
    one = Identifier({STUDY: ""}, {0x00400275: (item,)})
    ArchiveFinder().find(query(identifier=one), INFO)
    assert asked[0].sequence_keys == {(0x00400275, 0x00401001): "P1"}


def test_more_answers_than_are_given_are_told(
    asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = settings.ISOCENTER.receiver.model_copy(update={"max_answers": 2})
    monkeypatch.setattr(
        settings, "ISOCENTER", settings.ISOCENTER.model_copy(update={"receiver": receiver})
    )
    answers = ArchiveFinder().find(query(), INFO).answers
    assert next(answers)
    assert next(answers)
    with pytest.raises(QueryRefused, match="more than 2 answers") as refused:
        next(answers)
    assert refused.value.status == 0xA700


def test_without_the_right_nothing_is_asked(
    asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, DimseRight.STORE, DimseRight.RETRIEVE)
    with pytest.raises(QueryRefused, match="lacks the right query") as refused:
        ArchiveFinder().find(query(), INFO)
    assert refused.value.status == 0xC001
    assert not asked


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("secret"), 0xA700), (KeyError("secret"), 0xC002)]
)
def test_failures_are_statuses_and_say_nothing_of_the_question(
    asked: list[Question], monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(_: Question) -> Iterator[Match]:
        raise error

    monkeypatch.setattr(finding, "search", fail)
    with pytest.raises(QueryRefused) as refused:
        ArchiveFinder().find(query(), INFO)
    assert refused.value.status == status
    assert "secret" not in str(refused.value)
