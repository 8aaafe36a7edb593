"""How fast pages answer with 10 000 and with 1 000 000 studies, and what they cost the intake.

    python benchmarks/pages.py [--quick] [--small N] [--large N] [--rounds N]

Two platforms as a user runs them, one with the small and one with the large index. While dcmsend
sends CT slices over 4 associations the whole time, one person (with a token) opens pages one after
the other, small and large in turn. Then the intake of both is measured alone and with pages asked
for at 5 requests/s. Ratios within this run count; milliseconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from stand.feeding import Feeding
from stand.sizes import LEAST_INGEST, FilledIsocenter, Times, print_times, workspace
from stand.studies import Series, make_series
from stand.table import machine, middle, print_claims, print_table

from stand import million

ASSOCIATIONS = 4
ASKED_PER_S = 5
SETTLE_S = 2.0
LEAST_INTAKE = 0.85  # with pages beside without

MAKE_TOKEN = """
import sys
from pathlib import Path
from isocenter.runtime.boot import boot
boot(data_dir=Path(sys.argv[1]))
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
user, _ = User.objects.get_or_create(username="benchmark", defaults={"role": "administrator"})
print(create_token(user, ["all"]).text)
"""

Chooser = Callable[[random.Random, int], str]
#: Acknowledged slices per second, by (number of studies, with pages).
Rates = dict[tuple[int, bool], list[float]]


@dataclass(frozen=True)
class Page:
    """One kind of page: an address, or what is searched for with the worklist's form."""

    name: str
    path: Chooser | None = None
    search: Mapping[str, Chooser] = field(default_factory=dict)


def _name(chance: random.Random, count: int) -> str:
    return f"{chance.choice(million.FAMILY)} {chance.choice(million.GIVEN)}"


def _day(chance: random.Random, count: int) -> str:
    return f"20{chance.randint(16, 25)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"


def _patient_id(chance: random.Random, count: int) -> str:
    return f"P{chance.randint(1, count // 2):07d}"


def _description(chance: random.Random, count: int) -> str:
    return chance.choice(("head", "prostate", "planning", "follow-up", "whole body", "breast"))


def _study(chance: random.Random, count: int) -> str:
    return f"/studies/{million.ROOT}{chance.randint(1, count)}/"


PAGES = (
    Page("worklist", lambda chance, count: "/"),
    Page("study page", _study),
    Page("search: name", search={"patient_name": _name}),
    Page("search: patient ID", search={"patient_id": _patient_id}),
    Page("search: description", search={"study_description": _description}),
    Page("search: from a day on", search={"study_from": _day}),
    Page("search: name, sorted", search={"patient_name": _name, "sort": lambda c, n: "instances"}),
    Page("runs", lambda chance, count: "/runs/"),
    Page("events", lambda chance, count: "/events/"),
)


class Stand(FilledIsocenter):
    """A platform with many studies, and somebody who asks for pages."""

    def client(self) -> httpx.Client:
        made = subprocess.run(
            [sys.executable, "-c", MAKE_TOKEN, str(self.folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        state = json.loads((self.folder / "run" / "runtime.json").read_text())
        return httpx.Client(
            base_url=f"http://127.0.0.1:{state['http']['port']}",
            headers={"Authorization": f"Bearer {made.stdout.strip()}"},
            follow_redirects=True,
            timeout=60,
        )


def ask(client: httpx.Client, page: Page, chance: random.Random, count: int) -> float:
    """Milliseconds until the whole page is here; of a search, with the redirect to its result."""
    fields = {key: choose(chance, count) for key, choose in page.search.items()}
    path = page.path(chance, count) if page.path else "/"
    began = time.perf_counter()
    answer = client.post(path, data=fields) if fields else client.get(path)
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{page.name}: {path} answered {answer.status_code}")
    return took


def measure_pages(
    stands: dict[int, tuple[Stand, httpx.Client]],
    series: Series,
    pages: tuple[Page, ...],
    *,
    rounds: int,
    requests: int,
) -> Times:
    """Milliseconds of every request, by (page, number of studies)."""
    times: dict[tuple[str, int], list[float]] = defaultdict(list)
    chance = random.Random(4)
    for number in range(rounds):
        for count, (stand, client) in stands.items():
            with Feeding(
                stand.port, stand.called_ae_title, series, associations=ASSOCIATIONS
            ) as feeding:
                time.sleep(SETTLE_S)
                for page in pages:
                    ask(client, page, chance, count)  # what is compiled once counts for nobody
                    for _ in range(requests):
                        times[page.name, count].append(ask(client, page, chance, count))
            print(
                f"round {number + 1}: {count} studies, meanwhile {feeding.per_second:.0f} slices/s",
                file=sys.stderr,
            )
            stand.make_room()
    return times


@contextmanager
def pages_asked(client: httpx.Client, count: int, per_second: float) -> Iterator[list[float]]:
    """Somebody asks for pages at this rate meanwhile; milliseconds of each are in the list."""
    stop = threading.Event()
    took: list[float] = []
    chance = random.Random(5)

    def work() -> None:
        due = time.monotonic()
        while not stop.is_set():
            took.append(ask(client, chance.choice(PAGES), chance, count))
            due += 1 / per_second
            stop.wait(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=work, daemon=True)
    if per_second:
        thread.start()
    yield took
    stop.set()
    if per_second:
        thread.join()


def measure_intake(
    stands: dict[int, tuple[Stand, httpx.Client]], series: Series, *, rounds: int, seconds: float
) -> Rates:
    rates: Rates = defaultdict(list)
    plan = [(count, pages) for count in stands for pages in (False, True)]
    for number in range(rounds):
        for count, pages in plan if number % 2 == 0 else plan[::-1]:
            stand, client = stands[count]
            with (
                pages_asked(client, count, ASKED_PER_S if pages else 0) as asked,
                Feeding(
                    stand.port, stand.called_ae_title, series, associations=ASSOCIATIONS
                ) as feeding,
            ):
                time.sleep(seconds)
            rates[count, pages].append(feeding.per_second)
            print(
                f"round {number + 1}: {count} studies, {len(asked)} pages,"
                f" {feeding.per_second:.0f} slices/s",
                file=sys.stderr,
            )
            stand.make_room()
    return rates


def report(times: Times, rates: Rates, small: int, large: int) -> None:
    """Print the tables and which claims hold."""
    title = f"Milliseconds per page while {ASSOCIATIONS} associations send"
    print_times(title, "page", times, small, large)
    if rates:
        report_intake(rates, small, large)


def report_intake(rates: Rates, small: int, large: int) -> None:
    print_table(
        "Intake, acknowledged slices per second, median of rounds",
        ("studies", "pages per second", "slices/s"),
        [(n, ASKED_PER_S if pages else 0, middle(v)) for (n, pages), v in sorted(rates.items())],
    )
    beside = zip(rates[large, True], rates[large, False], strict=True)
    sizes = zip(rates[large, False], rates[small, False], strict=True)
    print_claims(
        [
            (
                f"intake with {ASKED_PER_S} pages/s / without",
                middle([with_pages / without for with_pages, without in beside]),
                LEAST_INTAKE,
            ),
            ("intake: large / small index", middle([a / b for a, b in sizes]), LEAST_INGEST),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests, a smaller large one")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--only", default="", help="pages whose names hold this; no intake")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--keep", default="", metavar="FOLDER", help="use it, and leave it there")
    options = parser.parse_args()
    quick: bool = options.quick
    large: int = options.large or (200_000 if quick else 1_000_000)
    rounds: int = options.rounds or (1 if quick else 3)
    print(f"pages: {machine()}")
    with workspace(options.keep) as folder:
        series = make_series(folder / "ct", "CT", count=50, size=512, modality="CT")
        stands: dict[int, tuple[Stand, Any]] = {}
        try:
            for count in (options.small, large):
                stand = Stand(folder / f"with-{count}", count)
                stand.start()
                stands[count] = (stand, None)
                stand.fill(events=min(count, 100_000))
                stands[count] = (stand, stand.client())
            pages = tuple(page for page in PAGES if options.only in page.name)
            times = measure_pages(
                stands, series, pages, rounds=rounds, requests=12 if quick else 40
            )
            rates = (
                {}
                if options.only
                else measure_intake(stands, series, rounds=rounds, seconds=5 if quick else 12)
            )
        finally:
            for stand, _ in stands.values():
                stand.stop()
    report(times, rates, options.small, large)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
