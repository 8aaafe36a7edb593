"""What every command shares: options, connecting to the platform, output, errors."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from isocenter.core.errors import IsocenterError

if TYPE_CHECKING:  # commands that need no platform start without it, half a second earlier
    from isocenter.runtime.settings import Settings

# Times as our rows have them (ISO 8601 with a zone); people read their own clock, to the second.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

FAILED = 1
USAGE = 2
VERIFICATION_FAILED = 3

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="ISOCENTER_DATA_DIR",
        show_envvar=True,
        help="Data directory of the platform.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="ISOCENTER_CONFIG",
        show_envvar=True,
        help="YAML file; default: isocenter.yaml in the data directory.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def connect(data_dir: Path | None, config: Path | None = None, **overrides: Any) -> Settings:
    """Set Django up on the platform of this data directory.

    Raises:
        ConfigurationError: no platform runs there.
    """
    from isocenter.runtime.boot import boot

    return boot(data_dir, config, **overrides)


def emit(
    value: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    as_json: bool,
    *,
    columns: Sequence[str] | None = None,
    empty: str = "nothing",
) -> None:
    """Print one object or a list of objects: JSON on request, else for people.

    Args:
        value: an object, or rows.
        as_json: JSON to stdout; an object stays an object, rows become a list.
        columns: which keys of the rows a table shows, in order; default: those of the first row.
        empty: what is printed in place of a table without rows.
    """
    if as_json:
        plain = value if isinstance(value, Mapping) else list(value)
        sys.stdout.write(json.dumps(plain, indent=2, default=_plain, ensure_ascii=False) + "\n")
        return
    if isinstance(value, Mapping):
        _print_object(value)
    else:
        _print_table(list(value), columns, empty)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on stderr and leave."""
    typer.secho(message, fg=typer.colors.RED, err=True)
    raise typer.Exit(code)


def run(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run a typer application. Known errors become a line on stderr, never a traceback."""
    try:
        app(args=arguments, prog_name="isocenter")
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except IsocenterError as error:
        typer.secho(str(error), fg=typer.colors.RED, err=True)
        return FAILED
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.filename is None:
            raise
        typer.secho(f"{error.filename}: {error.strerror}", fg=typer.colors.RED, err=True)
        return FAILED
    except Exception as error:
        if not logging.getLogger().handlers:
            raise
        logging.getLogger("isocenter").critical("unexpected error", exc_info=error)
        return FAILED
    return 0


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, Path | uuid.UUID):
        return str(value)
    return str(value)


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple) and all(isinstance(v, str | int) for v in value):
        return ", ".join(str(v) for v in value) or "-"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return str(_plain(value)) if isinstance(value, Enum) else str(value)


def _print_object(value: Mapping[str, Any]) -> None:
    width = max((len(str(key)) for key in value), default=0)
    for key, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], Mapping):
            typer.echo(f"{key}:")
            _print_table(item, None, "-")
        else:
            typer.echo(f"{key!s:<{width}}  {_text(item)}")


def _print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None, empty: str
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo(empty)
        return
    names = list(columns or rows[0])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row.get(name))) for name in names))
    console = Console()
    if not console.is_terminal:  # in a pipe nobody wants folded columns
        console = Console(width=400, no_color=True)
    console.print(table)
