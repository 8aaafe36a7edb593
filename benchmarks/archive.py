"""How fast the index answers C-FIND and QIDO-RS with 10 000 and with 1 000 000 studies, and how
fast it takes instances in.

    python benchmarks/archive.py [--quick] [--small N] [--large N] [--rounds N] [--only TEXT]

Two platforms as a user runs them. The search is asked at study level through the function that
both services use, small and large in turn, `LIMIT` answers at most; what the wire adds is measured
by dimse.py and dicomweb.py. Then dcmsend sends CT slices over 4 associations to each in turn.
Ratios within this run count; milliseconds depend on the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stand.asking import Asker
from stand.feeding import Feeding
from stand.sizes import LEAST_INGEST, FilledIsocenter, Times, print_times, workspace
from stand.studies import Series, make_series
from stand.table import machine, middle, print_claims, print_table

from stand import million

ASSOCIATIONS = 4
LIMIT = 25
SETTLE_S = 2.0
NAME, PATIENT_ID, DATE, ACCESSION = 0x00100010, 0x00100020, 0x00080020, 0x00080050
MODALITIES = 0x00080061

Keys = Mapping[int, str]
Chooser = Callable[[random.Random, int], Keys]


def _family(chance: random.Random) -> str:
    return chance.choice(million.FAMILY)


def _day(chance: random.Random) -> str:
    return f"20{chance.randint(16, 25)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"


def _week(chance: random.Random) -> str:
    month = f"20{chance.randint(16, 25)}{chance.randint(1, 12):02d}"
    return f"{month}08-{month}14"


def _year(chance: random.Random) -> str:
    year = f"20{chance.randint(16, 25)}"
    return f"{year}0101-{year}1231"


def _month(chance: random.Random) -> str:
    month = f"20{chance.randint(16, 25)}{chance.randint(1, 12):02d}"
    return f"{month}01-{month}28"


def _infix(chance: random.Random) -> str:
    name = _family(chance)
    return f"*{name[1:5]}*"


def _plain(name: str) -> str:
    """As somebody writes it who has no accents on the keyboard."""
    from isocenter.core.dicom.folding import fold

    return fold(name).upper()


@dataclass(frozen=True)
class Kind:
    """One kind of question, with as many answers at every size.

    Attributes:
        limit: answers at most; the small index has so many, or the question finds one patient.
    """

    name: str
    keys: Chooser
    limit: int = LIMIT


KINDS = (
    Kind("name, beginning", lambda c, n: {NAME: f"{_family(c)[:4]}*"}),
    Kind("name, accents left out", lambda c, n: {NAME: f"{_plain(_family(c))}*"}),
    Kind("name, both parts", lambda c, n: {NAME: f"{_family(c)}^{c.choice(million.GIVEN)}*"}),
    Kind("name, in the middle", lambda c, n: {NAME: _infix(c)}),
    Kind("name, nobody's", lambda c, n: {NAME: f"{_family(c)[:3]}zz*"}),
    Kind("patient ID", lambda c, n: {PATIENT_ID: f"P{c.randint(1, n // 2):07d}"}),
    Kind("study date, a week", lambda c, n: {DATE: _week(c)}, limit=10),
    Kind("study date, a month", lambda c, n: {DATE: _month(c)}),
    Kind("study date, from a day on", lambda c, n: {DATE: f"{_day(c)}-"}),
    Kind("accession number", lambda c, n: {ACCESSION: f"A{c.randint(1, n):08d}"}),
    Kind("name and year", lambda c, n: {NAME: f"{_family(c)}*", DATE: _year(c)}),
    Kind("modality and year", lambda c, n: {MODALITIES: "PT", DATE: _year(c)}),
)


def measure_search(
    askers: Mapping[int, Asker], kinds: tuple[Kind, ...], *, rounds: int, requests: int
) -> Times:
    """Milliseconds of every question, by (kind, number of studies)."""
    times: dict[tuple[str, int], list[float]] = defaultdict(list)
    chance = random.Random(6)
    for number in range(rounds):
        for kind in kinds:
            for count, asker in askers.items():
                asker.ask("STUDY", kind.keys(chance, count), kind.limit)  # plans are made
            for _ in range(requests):
                for count, asker in askers.items():
                    took, _ = asker.ask("STUDY", kind.keys(chance, count), kind.limit)
                    times[kind.name, count].append(took)
        print(f"round {number + 1} of the search", file=sys.stderr)
    return times


def measure_ingest(
    stands: Mapping[int, FilledIsocenter], series: Series, *, rounds: int, seconds: float
) -> dict[int, list[float]]:
    """Indexed slices per second, by number of studies."""
    rates: dict[int, list[float]] = defaultdict(list)
    for number in range(rounds):
        order = list(stands) if number % 2 == 0 else list(stands)[::-1]
        for count in order:
            stand = stands[count]
            before, began = stand.indexed(), time.monotonic()
            with Feeding(
                stand.port, stand.called_ae_title, series, associations=ASSOCIATIONS
            ) as feeding:
                time.sleep(seconds)
            while (now := stand.indexed()) - before < feeding.slices:
                if time.monotonic() - began > seconds * 20:
                    raise RuntimeError("the index does not follow")
                time.sleep(0.05)
            rates[count].append((now - before) / (time.monotonic() - began))
            print(f"{count} studies: {rates[count][-1]:.0f} slices/s indexed", file=sys.stderr)
            stand.make_room()
            time.sleep(SETTLE_S)
    return rates


def report(times: Times, rates: Mapping[int, list[float]], small: int, large: int) -> None:
    """Print the tables and which claims hold."""
    print_times(f"Milliseconds per search, {LIMIT} answers at most", "search", times, small, large)
    if rates:
        print_table(
            "Ingest, indexed slices per second, median of rounds",
            ("studies", "slices/s"),
            [(count, middle(values)) for count, values in sorted(rates.items())],
        )
        paired = [a / b for a, b in zip(rates[large], rates[small], strict=True)]
        print_claims([("ingest: large / small index", middle(paired), LEAST_INGEST)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests, a smaller large one")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--only", default="", help="searches whose names hold this; no ingest")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--keep", default="", metavar="FOLDER", help="use it, and leave it there")
    options = parser.parse_args()
    quick: bool = options.quick
    large: int = options.large or (100_000 if quick else 1_000_000)
    rounds: int = options.rounds or (1 if quick else 5)
    print(f"archive: {machine()}")
    with workspace(options.keep) as folder:
        series = make_series(folder / "ct", "CT", count=50, size=512, modality="CT")
        stands: dict[int, FilledIsocenter] = {}
        askers: dict[int, Asker] = {}
        try:
            for count in (options.small, large):
                stands[count] = FilledIsocenter(folder / f"with-{count}", count)
                stands[count].start()
                stands[count].fill()
                askers[count] = Asker(stands[count].folder)
            kinds = tuple(kind for kind in KINDS if options.only in kind.name)
            times = measure_search(askers, kinds, rounds=rounds, requests=20 if quick else 60)
            rates = (
                {}
                if options.only
                else measure_ingest(stands, series, rounds=rounds, seconds=5 if quick else 15)
            )
        finally:
            for asker in askers.values():
                asker.close()
            for stand in stands.values():
                stand.stop()
    report(times, rates, options.small, large)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
