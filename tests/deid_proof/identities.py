"""The people of the planted-identity set: nobody of them lives.

Names stand in the scripts that PS3.5 Annex H to K show, so that each of the usual values of
SpecificCharacterSet is there. Everything else about a person comes from pseudo-words, which no
dictionary holds and no two of which are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_SYLLABLES = [c + v for c in _CONSONANTS for v in _VOWELS]
_ENDINGS = ("berg", "ski", "wald", "mann", "ova", "quist")


def word(number: int) -> str:
    """A pseudo-word, another one for each number below 343 000."""
    rest = number * 104_729 % len(_SYLLABLES) ** 3
    syllables = []
    for _ in range(3):
        rest, index = divmod(rest, len(_SYLLABLES))
        syllables.append(_SYLLABLES[index])
    return "".join(syllables).capitalize() + _ENDINGS[number % len(_ENDINGS)]


@dataclass(frozen=True)
class Person:
    """One patient.

    Attributes:
        number: from 0.
        charset: values of SpecificCharacterSet; empty for the default repertoire.
        name: PatientName with all its component groups.
        spoken: how texts in the person's own script call her or him.
        terms: what must not be found anywhere, 2 characters and more in scripts other than Latin,
            4 and more in Latin letters.
        patient_id, issuer: the patient key.
    """

    number: int
    charset: tuple[str, ...]
    name: str
    spoken: tuple[str, ...]
    terms: tuple[str, ...]
    patient_id: str
    issuer: str
    birth: date
    sex: str
    first_study: date

    @property
    def family(self) -> str:
        """Family name, the first component group."""
        return self.name.split("=", maxsplit=1)[0].split("^")[0]

    @property
    def given(self) -> str:
        """Given name, the first component group."""
        return self.name.split("=", maxsplit=1)[0].split("^")[1]

    @property
    def phone(self) -> str:
        """A telephone number as people write it."""
        return f"+49 761 55{1000 + self.number * 37}"

    @property
    def local_phone(self) -> str:
        """The North American notation."""
        return f"({410 + self.number}) 555-{2300 + self.number * 13}"

    @property
    def street(self) -> str:
        """Street and house number."""
        return f"{17 + self.number * 3} {word(90_000 + self.number)} Street"

    @property
    def city(self) -> str:
        """A town that is on no map."""
        return word(91_000 + self.number)

    @property
    def mail(self) -> str:
        """Electronic mail address."""
        return f"{word(92_000 + self.number).lower()}@{word(93_000 + self.number).lower()}.example"

    @property
    def institution(self) -> str:
        """The hospital."""
        return f"{word(94_000 + self.number)} Hospital"

    @property
    def referring(self) -> tuple[str, str]:
        """Family and given name of the referring physician."""
        return word(95_000 + self.number), word(96_000 + self.number)

    @property
    def operator(self) -> tuple[str, str]:
        """Family and given name of the technologist."""
        return word(97_000 + self.number), word(98_000 + self.number)


_NAMES: tuple[tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]], ...] = (
    ((), "O'Zubarik^Marylou Kate^^Dr^PhD", ("O'Zubarik",), ("Zubarik", "Marylou")),
    (
        ("", "ISO 2022 IR 87"),
        "Yamagoshi^Tarouji=山越^太郎治=やまごし^たろうじ",
        ("山越太郎治", "山越", "やまごし"),
        ("Yamagoshi", "Tarouji", "山越", "太郎治", "やまごし", "たろうじ"),
    ),
    (
        ("", "ISO 2022 IR 149"),
        "Honggeun^Gildongsu=洪根^吉洞秀=홍근^길동수",
        ("홍근", "길동수"),
        ("Honggeun", "Gildongsu", "洪根", "吉洞秀", "홍근", "길동수"),
    ),
    (("ISO_IR 126",), "Διονυσάκης^Αρίσταρχος", ("Διονυσάκης",), ("Διονυσάκης", "Αρίσταρχος")),
    (("ISO_IR 127",), "قبانيوي^لنزاريا", ("قبانيوي",), ("قبانيوي", "لنزاريا")),
    (("ISO_IR 144",), "Люксембургин^Аркадиус", ("Люксембургин",), ("Люксембургин", "Аркадиус")),
    (("ISO_IR 100",), "Äneaßer^Rüdigör", ("Äneaßer",), ("Äneaßer", "Rüdigör")),
    (
        ("GB18030",),
        "Wangzhao^XiaoDongli=王昭^小东里",
        ("王昭小东里", "王昭"),
        ("Wangzhao", "XiaoDongli", "王昭", "小东里"),
    ),
    (
        ("ISO_IR 192",),
        "Nguyễnova^Hồłzánka=阮美玉^和兰香",
        ("Nguyễnova", "阮美玉"),
        ("Nguyễnova", "Hồłzánka", "阮美玉", "和兰香"),
    ),
    (("ISO_IR 13",), "ﾔﾏｺﾞｼ^ﾀﾛｳｼﾞ", ("ﾔﾏｺﾞｼ",), ("ﾔﾏｺﾞｼ", "ﾀﾛｳｼﾞ")),
    (("ISO_IR 138",), "שרוניאל^דבורהלה", ("שרוניאל",), ("שרוניאל", "דבורהלה")),
    # The same ID as the first, from another issuer: another patient.
    (("ISO_IR 101",), "Wójcikowska^Żanetta", ("Wójcikowska",), ("Wójcikowska", "Żanetta")),
)


def people() -> list[Person]:
    """All patients, always the same."""
    found = []
    for number, (charset, name, spoken, terms) in enumerate(_NAMES):
        twin = number == len(_NAMES) - 1
        found.append(
            Person(
                number=number,
                charset=charset,
                name=name,
                spoken=spoken,
                terms=terms,
                patient_id="MRN7700413" if twin else f"MRN77{413 + 97 * number:05d}",
                issuer="ZWEITHAUS" if twin else "ERSTHAUS",
                birth=date(1931 + 5 * number, 1 + number, 3 + 2 * number),
                sex="MFO"[number % 3] if number % 4 else "F",
                first_study=date(2014, 2, 11) + timedelta(days=131 * number),
            )
        )
    return found
