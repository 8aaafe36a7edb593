"""Which studies a search finds, and in which order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from isocenter.apps.archive import ordered
from isocenter.apps.archive import worklist as module
from isocenter.apps.archive.models import Source, Study
from isocenter.apps.archive.queries import Cursor, WorklistFilter, new_since, rows_now, worklist
from isocenter.apps.routing.models import Run
from isocenter.core.errors import ConfigurationError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def add(number: int, **values: Any) -> Study:
    at = values.pop("at", NOW + timedelta(minutes=number))
    return Study.objects.create(
        **{
            "study_uid": f"1.2.3.{number}",
            "first_received_at": at,
            "last_received_at": at,
            "state": Study.State.COMPLETE,
            **values,
        }
    )


def found(identified: bool = True, **asked: Any) -> list[int]:
    page = worklist(WorklistFilter(**asked), identified=identified)
    return [int(study.study_uid.rpartition(".")[2]) for study in page.studies]


NAMES = {
    1: "MÜLLER^ANNA^MARIA",
    2: "Müller^Peter",
    3: "Yamada^Tarou=山田^太郎=やまだ^たろう",
    4: "O'Brien^Siobhán",
    5: "אברהם^שרה",
}


@pytest.mark.parametrize(
    ("searched", "numbers"),
    [
        ("mül", [2, 1]),
        ("mül ann", [1]),
        ("anna müller", [1]),
        ("mari müll an", [1]),
        ("müller maria anna", [1]),
        ("müller anna peter", []),
        ("mülla anna", []),
        ("anna annabel", []),
        ("tarou yamada", [3]),
        ("yam tar 山", [3]),
        ("Müller^Peter", [2]),
        ("山田", [3]),
        ("brien", [4]),
        ("o'brien siobhán", [4]),
        ("שרה", [5]),
        ("ller", []),
        ("mül*", [2, 1]),
        ("^", [5, 4, 3, 2, 1]),
        ("' | 'x':*", []),
    ],
)
def test_names_are_found_by_the_beginnings_of_their_words(
    searched: str, numbers: list[int]
) -> None:
    for number, name in NAMES.items():
        add(number, patient_name=name)
    assert found(patient_name=searched) == numbers


def test_each_field_looks_at_its_own_attribute() -> None:
    add(1, patient_name="Anna", patient_id="Berta", accession_number="Cesar")
    add(2, study_description="Anna Berta Cesar", patient_birth_date="19700531")
    assert found(patient_name="anna") == [1]
    assert found(patient_id="berta") == [1]
    assert found(accession_number="cesar") == [1]
    assert found(study_description="berta") == [2]
    assert found(text="anna berta") == [2, 1]
    assert found(patient_birth_date="1970-05") == [2]
    assert found(patient_birth_date="19700531") == [2]
    assert found(patient_birth_date="1971") == []


@pytest.mark.parametrize("number", ["12.34", "A-2024/0017", "1E5", "007", "AB_12", "3,5"])
def test_numbers_are_found_however_they_are_written(number: str) -> None:
    add(1, patient_id=number, accession_number=number)
    assert found(patient_id=number) == [1]
    assert found(accession_number=number.lower()) == [1]
    assert found(text=number[:3]) == [1]


def test_modalities_states_sources_flags_counts_and_uids() -> None:
    scanner = Source.objects.create(kind="dimse", calling_ae_title="SCANNER_1")
    add(1, modalities=["CT", "RTSTRUCT"], instance_count=200, source=scanner)
    add(2, modalities=["MR"], state=Study.State.HELD, instance_count=3)
    add(3, modalities=[], flags=[{"code": "x", "text": "y"}])
    assert found(modalities=("rtstruct", "MR")) == [2, 1]
    assert found(text="mr") == [2]
    assert found(states=("held", "waiting")) == [2]
    assert found(states=("held", "complete")) == [3, 2, 1]
    assert found(source="scan") == [1]
    assert found(flagged=True) == [3]
    assert found(instances_min=3, instances_max=100) == [2]
    assert found(text="1.2.3.2") == [2]
    with pytest.raises(ConfigurationError, match="no state lost"):
        found(states=("lost",))


def test_days_of_the_study_and_of_receipt() -> None:
    add(1, study_date="20260101", at=datetime(2026, 1, 5, 23, 59, tzinfo=UTC))
    add(2, study_date="20260102", at=datetime(2026, 1, 4, tzinfo=UTC))
    add(3, study_date="")
    assert found(study_from=date(2026, 1, 2)) == [2]
    assert found(study_to=date(2026, 1, 2)) == [2, 1], "the newest study first, not the last come"
    assert found(study_to=date(2026, 1, 2), sort="-received") == [1, 2]
    assert found(received_from=date(2026, 1, 5), received_to=date(2026, 1, 5)) == [1]


def test_studies_in_trouble() -> None:
    study = add(1)
    add(2)
    revision = study.revisions.create(number=1, reason="complete", instance_count=1, digest="0")
    Run.objects.create(
        study=study, revision=revision, pipeline_name="p", definition={}, state=Run.State.FAILED
    )
    assert found(failed=True) == [1]


def test_who_may_not_see_identities_cannot_search_by_them_either() -> None:
    add(1, patient_name="Anna", patient_id="X", study_description="head", modalities=["CT"])
    add(2, patient_name="Berta", study_description="neck")
    assert found(identified=False, text="anna") == []
    assert found(identified=False, text="head") == [1]
    assert found(identified=False, text="ct") == [1]
    assert found(identified=False, patient_name="anna") == [2, 1]
    assert found(identified=False, sort="patient_name") == [2, 1]


def test_who_may_not_see_identities_does_not_learn_that_two_patients_are_in_a_study() -> None:
    two, other = ({"code": code, "text": "t"} for code in ("two-patients", "long-value"))
    add(1, flags=[two, two])
    add(2, flags=[two, other])
    add(3, flags=[other])
    assert found(flagged=True) == [3, 2, 1]
    assert found(identified=False, flagged=True) == [3, 2]
    assert new_since(WorklistFilter(flagged=True), 0, identified=False) == 2


@pytest.mark.parametrize(
    ("stages", "most"),
    [((100,), 100), ((7,), 100), ((7,), 5), ((2, 7, 100), 100), ((1, 2), 100)],
)
@pytest.mark.parametrize("sort", sorted(module.SORTS))
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("words", [{"text": "head"}, {"patient_name": "same nam"}], ids=str)
def test_pages_forwards_and_back_show_each_study_once(
    sort: str,
    sign: str,
    stages: tuple[int, ...],
    most: int,
    words: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All ways of reading: a short walk, all keys at once, a long walk."""
    monkeypatch.setattr(ordered, "STAGES", stages)
    for place in (module, ordered):
        monkeypatch.setattr(place, "MOST", most)
    for number in range(1, 24):
        add(
            number,
            patient_name=f"Name{number % 3}^Same",
            study_date=f"202601{number % 4 + 1:02}",
            instance_count=number % 5,
            study_description="head",
        )
    asked = WorklistFilter(**words, sort=sign + sort)
    pages, cursor = [], None
    while True:
        page = worklist(asked, identified=True, cursor=cursor, limit=5)
        pages.append([study.pk for study in page.studies])
        if page.next is None:
            break
        cursor = Cursor.from_dict(page.next.as_dict())
    rows = [key for shown in pages for key in shown]
    assert len(rows) == len(set(rows)) == 23
    assert rows == [key for _, key in sorted_keys(sort, reverse=sign == "-")]
    back = [pages[-1]]
    while page.previous is not None:
        page = worklist(asked, identified=True, cursor=page.previous, limit=5)
        back.append([study.pk for study in page.studies])
    assert back[::-1] == pages
    assert page.is_about == (most == 5)
    assert page.is_about or page.total == 23


def test_what_the_walk_found_is_counted_only_while_it_is_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(1, 8):
        add(number, study_description="head")
    asked = WorklistFilter(text="head")
    page = worklist(asked, identified=True, limit=5)
    assert (page.total, page.is_about) == (7, False)
    monkeypatch.setattr(module, "FEW", 0)
    page = worklist(asked, identified=True, limit=5)
    assert page.is_about
    assert len(page.studies) == 5
    assert worklist(asked, identified=True, limit=9).is_about is False, "all keys were here"


def sorted_keys(sort: str, *, reverse: bool) -> list[Any]:
    keys = Study.objects.annotate(sort_key=module.SORTS[sort]).values_list("sort_key", "pk")
    return sorted(keys, reverse=reverse)


def test_a_place_of_another_order_is_no_place() -> None:
    add(1)
    for given in ({"v": "no date", "i": 1}, {"v": None, "i": "x"}, {}, None):
        cursor = Cursor.from_dict(given)
        assert worklist(WorklistFilter(), identified=True, cursor=cursor).studies


def test_what_came_since_and_rows_as_they_are_now() -> None:
    first = add(1, study_description="head")
    page = worklist(WorklistFilter(text="head"), identified=True)
    add(2, study_description="head")
    add(3, study_description="neck")
    assert new_since(WorklistFilter(text="head"), page.newest, identified=True) == 1
    keys = [first.pk, first.pk + 1]
    first.delete()
    assert [row.study_uid for row in rows_now(keys)] == ["1.2.3.2"]


def test_studies_of_another_name_are_not_found_by_the_beginnings_of_its_words() -> None:
    """The index of pairs knows three letters of a word, the search more."""
    add(1, patient_name="Schmidt^Marianne")
    add(2, patient_name="Schmid^Marie")
    assert found(patient_name="schm mar") == [2, 1]
    assert found(patient_name="schmidt mari") == [1]
    assert found(patient_name="marie schm") == [2]
    assert found(patient_name="schm mar", study_description="head") == []
