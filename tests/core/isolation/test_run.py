"""What a caller of ``run_isolated`` sees."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isocenter.core.errors import (
    ChildCancelled,
    ChildDied,
    ChildFailed,
    ChildMemoryExceeded,
    ChildTimeout,
    ConfigurationError,
)
from isocenter.core.isolation import Limits, run_isolated

LIMITS = Limits(memory_bytes=1 << 30, timeout_s=60)


def test_the_answer_and_the_progress_come_back(tmp_path: Path) -> None:
    heard: list[tuple[float, str]] = []

    answer = run_isolated(
        "child_work:echo",
        {"a": [1, "ü"]},
        work_dir=tmp_path,
        limits=LIMITS,
        on_progress=lambda fraction, message: heard.append((fraction, message)),
    )

    assert answer == {"got": {"a": [1, "ü"]}, "cwd": str(tmp_path)}
    assert heard == [(0.5, "half"), (1.0, "all")]
    assert [path.name for path in tmp_path.iterdir()] == ["step.log"]


@pytest.mark.parametrize("size", [32, 1 << 20])
def test_private_bytes_reach_the_function_and_no_file(tmp_path: Path, size: int) -> None:
    private = os.urandom(32) + bytes(size - 32)

    answer = run_isolated("child_work:hear", {}, work_dir=tmp_path, limits=LIMITS, private=private)

    assert answer == {"length": size, "seen": [], "pipes": 1}  # the one for progress
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and private[:32] in p.read_bytes()]


def test_nothing_private_is_something_else_than_no_word_of_it(tmp_path: Path) -> None:
    answer = run_isolated("child_work:hear", {}, work_dir=tmp_path, limits=LIMITS, private=b"")

    assert answer["length"] == 0


def test_a_child_that_dies_before_it_listens_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed):
        run_isolated(
            "child_work:no_such", {}, work_dir=tmp_path, limits=LIMITS, private=bytes(1 << 20)
        )
    with pytest.raises(ChildFailed, match="it was told"):
        run_isolated("child_work:deaf", {}, work_dir=tmp_path, limits=LIMITS, private=b"x" * 64)


def test_progress_in_a_tight_loop_neither_floods_nor_breaks(tmp_path: Path) -> None:
    heard: list[float] = []

    run_isolated(
        "child_work:many_steps",
        {},
        work_dir=tmp_path,
        limits=LIMITS,
        on_progress=lambda fraction, message: heard.append(fraction),
    )

    assert heard[0] == 0
    assert len(heard) < 500


def test_our_own_errors_keep_their_words(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="contour 3 has no points") as caught:
        run_isolated("child_work:refuse", {}, work_dir=tmp_path, limits=LIMITS)

    assert caught.value.kind == "ContourError"
    assert "child_work.py" in caught.value.trace


def test_a_stranger_s_error_may_name_a_patient_only_in_the_trace(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed) as caught:
        run_isolated("child_work:fail", {}, work_dir=tmp_path, limits=LIMITS)

    assert caught.value.kind == "ValueError"
    assert "Doe" not in str(caught.value)
    assert "Doe" in caught.value.trace


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("child_work:leave", "SystemExit"),
        ("child_work:no_json", "TypeError"),
        ("child_work:missing", "AttributeError"),
        ("no_such_module:run", "ModuleNotFoundError"),
    ],
)
def test_other_ways_to_fail(tmp_path: Path, target: str, kind: str) -> None:
    with pytest.raises(ChildFailed) as caught:
        run_isolated(target, {}, work_dir=tmp_path, limits=LIMITS)

    assert caught.value.kind == kind


def test_a_crash_is_named_by_its_signal(tmp_path: Path) -> None:
    with pytest.raises(ChildDied, match="SIGSEGV"):
        run_isolated("child_work:crash", {}, work_dir=tmp_path, limits=LIMITS)


def test_an_exit_without_an_answer(tmp_path: Path) -> None:
    with pytest.raises(ChildDied, match="exit code 3"):
        run_isolated("child_work:vanish", {}, work_dir=tmp_path, limits=LIMITS)


def test_the_time_limit(tmp_path: Path, survivors: Callable[[], list[int]]) -> None:
    with pytest.raises(ChildTimeout, match=r"0\.5 s"):
        run_isolated(
            "child_work:sleep", {}, work_dir=tmp_path, limits=Limits(1 << 30, timeout_s=0.5)
        )

    assert survivors() == []


@pytest.mark.parametrize("target", ["grow", "grow_together", "allocate_at_once"])
def test_the_memory_limit_counts_everybody(tmp_path: Path, target: str) -> None:
    with pytest.raises(ChildMemoryExceeded, match="256 MiB"):
        run_isolated(
            f"child_work:{target}", {}, work_dir=tmp_path, limits=Limits(256 << 20, timeout_s=60)
        )


def test_shared_memory_counts_once(tmp_path: Path) -> None:
    answer = run_isolated(
        "child_work:share", {}, work_dir=tmp_path, limits=Limits(256 << 20, timeout_s=60)
    )

    assert answer == {"held": 100 << 20}


def time_to_cancel(folder: Path) -> float:
    wanted = threading.Event()
    asked_at: list[float] = []

    def complete(fraction: float, message: str) -> None:
        asked_at.append(time.monotonic())
        wanted.set()

    with pytest.raises(ChildCancelled):
        run_isolated(
            "child_work:family",
            {"stay": True},
            work_dir=folder,
            limits=LIMITS,
            on_progress=complete,
            cancelled=wanted.is_set,
        )
    return time.monotonic() - asked_at[0]


def test_cancelling_takes_less_than_a_second(
    tmp_path: Path, survivors: Callable[[], list[int]]
) -> None:
    """The best of ten counts: others may keep the machine busy."""
    assert any(time_to_cancel(tmp_path) < 1 for _ in range(10))
    assert survivors() == []


def test_what_the_caller_s_functions_raise_ends_the_child(
    tmp_path: Path, survivors: Callable[[], list[int]]
) -> None:
    def break_down(fraction: float, message: str) -> None:
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        run_isolated(
            "child_work:family",
            {"stay": True},
            work_dir=tmp_path,
            limits=LIMITS,
            on_progress=break_down,
        )

    assert survivors() == []


def test_a_hundred_megabytes_of_output_become_a_short_log(tmp_path: Path) -> None:
    run_isolated(
        "child_work:shout",
        {},
        work_dir=tmp_path,
        limits=Limits(1 << 30, timeout_s=60, log_bytes=10_000),
    )

    log = (tmp_path / "step.log").read_text()
    assert log.startswith("first words")
    assert log.endswith("last words\n")
    assert "bytes left out" in log
    assert len(log) < 10_100


def test_secrets_of_the_platform_stay_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOCENTER_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("PGPASSWORD", "secret")

    names = run_isolated("child_work:environment", {}, work_dir=tmp_path, limits=LIMITS)["names"]

    assert "PYTHONPATH" in names
    assert not [name for name in names if name.startswith(("ISOCENTER_", "PG"))]


def test_several_at_once(tmp_path: Path) -> None:
    def one(number: int) -> int:
        work_dir = tmp_path / str(number)
        work_dir.mkdir()
        answer = run_isolated("child_work:echo", {"n": number}, work_dir=work_dir, limits=LIMITS)
        return int(answer["got"]["n"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == list(range(16))


def test_limits_that_make_no_sense() -> None:
    with pytest.raises(ConfigurationError):
        Limits(memory_bytes=0)
