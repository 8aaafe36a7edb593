"""The application log."""

from __future__ import annotations

import json
import logging
import multiprocessing
from pathlib import Path

from isocenter.runtime.logs import SharedRotatingFile, where_it_broke


def _write_lines(path: Path, writer: int, count: int) -> None:
    handler = SharedRotatingFile(path, max_bytes=20_000, keep=50)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(count):
        text = json.dumps({"writer": writer, "number": number, "filler": "x" * 50})
        handler.emit(logging.LogRecord("test", logging.INFO, "", 0, text, None, None))
    handler.close()


def test_several_processes_rotate_one_file_and_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "application.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_lines, args=(path, n, 800)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0

    files = [path, *(p for p in tmp_path.glob("application.jsonl.*"))]
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]

    assert len(files) > 5
    assert {(line["writer"], line["number"]) for line in found} == {
        (writer, number) for writer in range(3) for number in range(800)
    }
    assert len(found) == 2400


def test_old_files_go(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = SharedRotatingFile(path, max_bytes=100, keep=3)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(50):
        text = f"{number:060d}"
        handler.emit(logging.LogRecord("test", logging.INFO, "", 0, text, None, None))
    handler.close()

    assert {p.name for p in tmp_path.iterdir()} == {"log", "log.1", "log.2", "log.3", ".log.lock"}
    assert path.read_text().strip().endswith("49")


def test_an_exception_is_logged_with_its_places_and_without_what_it_said() -> None:
    """Messages of libraries quote values, and values are names."""
    try:
        raise ValueError("Meier^Hans")
    except ValueError as error:
        for given in (error, True, (type(error), error, error.__traceback__)):
            event = where_it_broke(None, "error", {"event": "broken", "exc_info": given})
            assert "test_logs.py" in event["exception"]
            assert event["exception"].endswith("ValueError")
            assert "Meier^" not in event["exception"].replace('raise ValueError("Meier^Hans")', "")
