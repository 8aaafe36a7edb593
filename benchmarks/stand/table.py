"""Tables on standard output: one form for all benchmarks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from statistics import median


def machine() -> str:
    """One line about the machine: its processors and how busy it is."""
    load = os.getloadavg()[0]
    python = platform.python_version()
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {python}"


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, numbers right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(len(str(name)), *(len(row[column]) for row in cells), 1)
        for column, name in enumerate(head)
    ]
    print(f"\n### {title}\n")
    print(
        "| "
        + " | ".join(name.ljust(width) for name, width in zip(head, widths, strict=True))
        + " |"
    )
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in cells:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")


def print_claims(claims: Sequence[tuple[str, float, float]]) -> bool:
    """Print (what, ratio reached, goal) and whether each is reached; True when all are."""
    rows = [
        (what, f"{ratio:.2f}", f"{goal:.2f}", "yes" if ratio >= goal else "NO")
        for what, ratio, goal in claims
    ]
    print_table("Claims", ("ratio", "reached", "goal", "holds"), rows)
    return all(ratio >= goal for _, ratio, goal in claims)


def middle(values: Sequence[float]) -> float:
    """The median: the machines that this runs on are noisy."""
    return median(values)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
