"""Plants attributes of Annex E with a value of their VR that says who somebody is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from deid_proof.identities import Person, word
from deid_proof.plants import Place, Row, annex_e

#: Not from the table at random: they have a place of their own in the set, or decide what an
#: object is.
ELSEWHERE = frozenset(
    """
    00020003 00080018 00080020 00080050 00100010 00100020 0020000d
    0020000e 00100030 00420011 00700001 0040a730 50xxxxxx 60xx3000
    60xx4000 fffafffa fffcfffc 00880200 00200052 00001000 00001001
    04000500 04000510 04000520 00280303 00080030 00080090 00100040
    00081030 0008103e 00080080
    """.split()  # noqa: SIM905 one a line would be a page
)


def uid(number: int) -> str:
    """An instance UID, another one for each number."""
    return f"1.2.826.0.1.3680043.10.771.{4_000_000 + number}"


def day(person: Person, number: int) -> date:
    """A date in this person's life, within ten years before the first study."""
    return person.first_study - timedelta(days=1 + number * 7919 % 3600)


class Values:
    """Values by VR; each one has its own number, so that no two are equal."""

    def __init__(self, first: int) -> None:
        self.number = first

    def next(self) -> int:
        """The next number."""
        self.number += 1
        return self.number

    def of(self, vr: str, person: Person) -> Any:
        """A value."""
        number = self.next()
        return _MAKERS.get(vr, _text)(number, person)


def _text(number: int, _: Person) -> str:
    return f"{word(number)} {word(number + 150_000)}"


def _long_text(number: int, person: Person) -> str:
    spoken = person.spoken[number % len(person.spoken)]
    return f"{word(number)} told {spoken} about {word(number + 150_000)}"


def _name(number: int, person: Person) -> str:
    return f"{word(number)}^{word(number + 150_000)}"


def _datetime(number: int, person: Person) -> str:
    moment = datetime.combine(day(person, number), datetime.min.time()) + timedelta(
        seconds=number * 601 % 86400
    )
    zone = "+0200" if number % 3 == 0 else ""
    return moment.strftime("%Y%m%d%H%M%S.") + f"{number % 1_000_000:06d}{zone}"


def _time(number: int, _: Person) -> str:
    return f"{number % 23 + 1:02d}{number % 59 + 1:02d}{number % 57 + 2:02d}.{number % 1000000:06d}"


def _bytes(number: int, person: Person) -> bytes:
    text = f"{word(number)} {person.terms[0] if person.terms[0].isascii() else ''}".encode()
    return text + b" " * (len(text) % 2)


_MAKERS: dict[str, Callable[[int, Person], Any]] = {
    "AE": lambda n, _: f"AE{word(n)[:12].upper()}",
    "AS": lambda n, _: f"0{11 + n % 78:02d}Y",
    "CS": lambda n, _: word(n).upper()[:16],
    "DA": lambda n, p: day(p, n).strftime("%Y%m%d"),
    "DT": _datetime,
    "TM": _time,
    "DS": lambda n, _: f"{10 + n % 80}.{n:06d}",
    "IS": lambda n, _: str(40_000 + n),
    "LO": _text,
    "LT": _long_text,
    "OB": _bytes,
    "OW": _bytes,
    "UN": _bytes,
    "PN": _name,
    "SH": lambda n, _: word(n)[:16],
    "ST": _long_text,
    "UC": _text,
    "UI": lambda n, _: uid(n),
    "UL": lambda n, _: 1_000_000 + n,
    "UR": lambda n, _: f"https://{word(n).lower()}.example/{n}",
    "US": lambda n, _: 20_000 + n % 40_000,
    "UT": _long_text,
}


def rows_to_plant() -> list[Row]:
    """Rows that go into objects of every kind, in turn."""
    return [row for row in annex_e() if row.tag not in ELSEWHERE and row.vr != "?"]


def plant_row(place: Place, row: Row, person: Person, values: Values) -> None:
    """Plant one attribute of Annex E; a sequence gets an item that names somebody."""
    tag = int(row.tag, 16)
    vr = "LO" if row.vr == "UN" and not row.keyword else row.vr
    if row.keyword == "SmokingStatus":
        place.plant(tag, "YES", "annex", vr, basic=row.basic, options=row.options)
    elif row.keyword == "PatientSexNeutered":
        place.plant(tag, "ALTERED", "annex", vr, basic=row.basic, options=row.options)
    elif vr == "SQ":
        if tag in place.dataset:
            return
        item = place.item(tag)
        item.plant("PersonName", values.of("PN", person), "identity", "PN")
        item.plant("StudyComments", values.of("LT", person), "identity")
        item.plant("InstitutionalDepartmentName", values.of("LO", person), "identity")
    elif tag not in place.dataset:
        value = values.of(vr, person)
        if "K" in row.options.values() and vr in {"OB", "ST", "LT", "UT"}:
            value = _text(values.next(), person)  # stays whole: it may not hold the patient's name
            value = value.encode().ljust(len(value) + len(value) % 2) if vr == "OB" else value
        place.plant(tag, value, "annex", vr, basic=row.basic, options=row.options)
