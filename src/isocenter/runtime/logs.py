"""The application log: JSON lines in ``logs/application.jsonl``, and the console.

Several processes write the same file: each line is one append, and whoever finds the file too
large rotates it under a lock. Identities of patients do not belong here; libraries that would
write them are kept to warnings.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings

CONSOLE_LEVEL_VARIABLE = "ISOCENTER_CONSOLE_LEVEL"
_QUIET = ("pynetdicom", "pydicom", "numba", "asyncio", "httpx", "httpcore", "matplotlib", "PIL")
_FIRST: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


class SharedRotatingFile(logging.Handler):
    """Appends lines to a file that other processes append to as well.

    Args:
        path: the file; rotated ones are ``<path>.1`` (newest) to ``<path>.<keep>``.
        max_bytes: size at which it is rotated.
        keep: how many rotated files stay.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        super().__init__()
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep
        self._descriptor: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            os.write(self._open(len(line)), line)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        with self.lock or contextlib.nullcontext():
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        super().close()

    def _open(self, coming: int) -> int:
        """The file as it is named now: another process may have rotated it."""
        if self._descriptor is not None:
            mine = os.fstat(self._descriptor)
            with contextlib.suppress(FileNotFoundError):
                named = self.path.stat()
                same = (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev)
                if same and mine.st_size + coming <= self.max_bytes:
                    return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None
        self._rotate_if_large(coming)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._descriptor = os.open(self.path, flags, 0o600)
        return self._descriptor

    def _rotate_if_large(self, coming: int) -> None:
        lock_path = self.path.with_name(f".{self.path.name}.lock")
        with lock_path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            size = self.path.stat().st_size if self.path.exists() else 0
            if size == 0 or size + coming <= self.max_bytes:
                return
            for number in range(self.keep - 1, 0, -1):
                older = self.path.with_name(f"{self.path.name}.{number}")
                if older.exists():
                    older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))


def where_it_broke(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """An exception as its class and the places it went through, without its message.

    Messages of libraries quote the values that they could not read, and values are names.
    """
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given
    error = error[1] if isinstance(error, tuple) else error
    if isinstance(error, BaseException):
        frames = "".join(traceback.format_tb(error.__traceback__))
        event["exception"] = f"{frames}{type(error).__name__}"
    return event


def _formatter(part: str, renderer: Any) -> logging.Formatter:
    def name_part(
        logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["part"] = part
        event["pid"] = os.getpid()
        return event

    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_FIRST, processors=[drop, name_part, where_it_broke, renderer]
    )


def configure_logs(settings: Settings, part: str) -> None:
    """Send structlog's and logging's records to the file and the console.

    Args:
        settings: level, size and number of files.
        part: name of this process in every line.
    """
    layout = Layout(settings.data_dir)
    layout.create()
    structlog.configure(
        processors=[*_FIRST, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    file = SharedRotatingFile(
        layout.logs / "application.jsonl",
        max_bytes=settings.logs.rotate_mb << 20,
        keep=settings.logs.keep,
    )
    file.setFormatter(_formatter(part, structlog.processors.JSONRenderer(default=str)))
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(os.environ.get(CONSOLE_LEVEL_VARIABLE, settings.logs.level))
    colours = sys.stderr.isatty()
    console.setFormatter(_formatter(part, structlog.dev.ConsoleRenderer(colors=colours)))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.setLevel(settings.logs.level)
    root.addHandler(file)
    root.addHandler(console)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It would log each "not ready" of a platform that starts, and addresses as they were typed.
    # What breaks in a request is written by `web.failures`.
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
