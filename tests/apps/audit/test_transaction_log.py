"""The log file under several writers."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

from isocenter.apps.audit.transaction_log import TransactionLog


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write(path: Path, who: int) -> None:
    log = TransactionLog(path, rotate_bytes=20_000, keep=50)
    for number in range(200):
        log.append([{"who": who, "number": number, "text": "x" * (number % 90)}])


def test_several_processes_lose_no_line_over_rotations(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(path, who)) for who in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    files = [*tmp_path.glob("log.jsonl*")]
    assert len(files) > 2
    assert all(file.stat().st_size <= 20_000 for file in files)
    found = [(line["who"], line["number"]) for file in files for line in lines(file)]
    assert sorted(found) == [(who, number) for who in range(3) for number in range(200)]


def test_old_files_go(tmp_path: Path) -> None:
    log = TransactionLog(tmp_path / "log.jsonl", rotate_bytes=100, keep=2)
    for number in range(20):
        log.append([{"number": number, "text": "x" * 60}])
    names = sorted(path.name for path in tmp_path.glob("log.jsonl*"))
    assert names == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert lines(tmp_path / "log.jsonl")[0]["number"] == 19
