"""``isocenter deid-rules``: check a site's rules, take over another tool's, show presets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isocenter.cli.platform import FAILED, USAGE, JsonOption, emit, fail

if TYPE_CHECKING:
    from isocenter.core.deid.importers import Imported, Unmapped

app = typer.Typer(no_args_is_help=True)

_FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE")]
_MOST_BYTES = 16 * 1024 * 1024


@app.command()
def check(path: _FileArgument) -> None:
    """Say whether rules can be used, and if not, what is wrong in which line."""
    from isocenter.core.deid.rules.site_rules import RuleSet

    rules = RuleSet.from_yaml(path)
    typer.echo(f"{path}: {len(rules.rules)} rules, {rules.digest()}")


@app.command("import")
def import_rules(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="netrt, ctp, karnak or recipe.")],
    path: _FileArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the rules there, a new file.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if anything has no counterpart.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take over the rules of NETRT, CTP, Karnak or deid, and list what does not come with them."""
    from isocenter.core.deid.importers import IMPORTERS

    if kind not in IMPORTERS:
        fail(f"there is no importer {kind!r}; there are {', '.join(IMPORTERS)}", USAGE)
    imported = IMPORTERS[kind](_text_of(path))
    text = _head(imported) + imported.rules.to_yaml()
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            fail(f"{output} is there already; name another file")
    if as_json:
        emit(_as_json(imported), True)
    else:
        if output is None:
            typer.echo(text, nl=False)
        _tell(imported)
    if strict and imported.unmapped:
        raise typer.Exit(FAILED)


@app.command("preset")
def show_preset(
    name: Annotated[str | None, typer.Argument(help="Which; without it, the names.")] = None,
) -> None:
    """Print rules that come with Isocenter, to be used as they are or changed."""
    from isocenter.core.deid.rules.presets import PRESETS, preset_text

    typer.echo("\n".join(PRESETS) if name is None else preset_text(name), nl=name is None)


def _text_of(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        fail(f"{path} is larger than {_MOST_BYTES} bytes", USAGE)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return path.read_text(encoding="latin-1")


def _head(imported: Imported) -> str:
    """What goes with the rules and is not in them, as comments."""
    lines = []
    if imported.options:
        options = " ".join(f"--option {option}" for option in sorted(imported.options))
        lines.append(f"# use with: {options}\n")
    if imported.pattern:
        lines.append(f"# pseudonyms were {imported.pattern}, with site {imported.site}\n")
    return "".join(lines)


def _tell(imported: Imported) -> None:
    """The lists, apart from the rules."""
    for title, color, listed in (
        ("changed", typer.colors.YELLOW, imported.changed),
        ("not mapped", typer.colors.RED, imported.unmapped),
    ):
        for one in listed:
            typer.secho(f"line {one.line}: {title}: {one.text}: {one.why}", fg=color, err=True)
    told = f"{len(imported.rules.rules)} rules, {len(imported.changed)} changed, "
    typer.secho(f"{told}{len(imported.unmapped)} not mapped", err=True)


def _as_json(imported: Imported) -> dict[str, object]:
    return {
        "rules": imported.rules.to_yaml(),
        "options": sorted(imported.options),
        "pattern": imported.pattern,
        "site": imported.site,
        "changed": [_line(one) for one in imported.changed],
        "unmapped": [_line(one) for one in imported.unmapped],
    }


def _line(one: Unmapped) -> dict[str, object]:
    return {"line": one.line, "text": one.text, "why": one.why}
