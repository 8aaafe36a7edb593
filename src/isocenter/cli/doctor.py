"""``isocenter doctor``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from isocenter.cli.platform import FAILED, ConfigOption, DataDirOption, JsonOption, emit

_SIGNS = {"ok": ("well ", None), "note": ("note ", "yellow"), "wrong": ("WRONG", "red")}


def register(root: typer.Typer) -> None:
    root.command("doctor")(doctor)


def doctor(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Say what is wrong on this machine, and how to mend it. Exit code 1 if anything is."""
    from isocenter.runtime.configuration import load_settings
    from isocenter.runtime.doctor import WRONG, examine

    findings = examine(load_settings(config, data_dir=data_dir))
    wrong = sum(finding.level == WRONG for finding in findings)
    if as_json:
        emit([asdict(finding) for finding in findings], True)
    else:
        for finding in findings:
            sign, colour = _SIGNS[finding.level]
            typer.echo(f"{typer.style(sign, fg=colour)}  {finding.what}: {finding.text}")
            if finding.mend:
                typer.echo(f"         → {finding.mend}")
        typer.echo(f"{wrong} to mend" if wrong else "all is well")
    if wrong:
        raise typer.Exit(FAILED)
