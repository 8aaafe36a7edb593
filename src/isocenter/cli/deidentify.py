"""``isocenter deidentify``: de-identify a folder and prove it; no server, no database."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import typer

from isocenter.cli import deidentify_options as given
from isocenter.cli.deidentify_patients import PROJECT_FOLDERS, Patients, keys_of
from isocenter.cli.deidentify_policy import policy_of, words_of
from isocenter.cli.late_progress import LateProgress
from isocenter.cli.platform import USAGE, VERIFICATION_FAILED, JsonOption, fail
from isocenter.core.errors import ConfigurationError

if TYPE_CHECKING:
    from isocenter.core.deid.policy import Policy
    from isocenter.core.deid.proof.report import BatchReport


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("deidentify")(deidentify_command)


def deidentify_command(
    path: given.InArgument = None,
    out: given.OutArgument = None,
    project: given.ProjectOption = None,
    projects: given.ProjectsDirOption = PROJECT_FOLDERS,
    secret_file: given.SecretFileOption = None,
    create_secret: given.CreateSecretOption = False,
    profile: given.ProfileOption = "basic",
    option: given.OptionsOption = None,
    rules: given.RulesOption = None,
    preset: given.PresetOption = None,
    pixels: given.PixelsOption = "off",
    dates: given.DatesOption = "remove",
    whole_weeks: given.WholeWeeksOption = False,
    keep_ages: given.KeepAgesOption = False,
    pseudonyms: given.PseudonymsOption = None,
    pattern: given.PatternOption = None,
    site: given.SiteOption = "",
    faces: given.FacesOption = "ignore",
    documents: given.DocumentsOption = "refuse",
    words: given.WordsOption = None,
    quarantine: given.QuarantineOption = None,
    whole_studies: given.WholeStudiesOption = False,
    processes: given.ProcessesOption = 0,
    dry_run: given.DryRunOption = False,
    explain: given.ExplainOption = None,
    as_json: JsonOption = False,
) -> None:
    """De-identify DICOM objects by PS3.15 Annex E, and search the result for what identified them.

    A study leaves when nothing was found in it, with report.json, report.html and an action log;
    the quarantine folder tells what did not. Exit code 3: something was refused or found.
    """
    policy = policy_of(
        profile=profile, options=option, dates=dates, pixels=pixels, faces=faces,
        documents=documents, whole_weeks=whole_weeks, keep_ages=keep_ages, rules=rules,
        presets=preset,
    )  # fmt: skip
    if explain is not None:
        return _explain(explain, policy, as_json)
    if path is None or out is None:
        fail("IN and OUT are needed: isocenter deidentify IN OUT --secret-file FILE", USAGE)
    keys = keys_of(project, projects, secret_file, create=create_secret)
    _deidentify(
        path, out, policy, Patients(keys, pseudonyms, pattern, site),
        quarantine=quarantine, words=words_of(words), whole_studies=whole_studies,
        processes=processes or os.cpu_count() or 1, dry_run=dry_run, as_json=as_json,
    )  # fmt: skip


def _explain(text: str, policy: Policy, as_json: bool) -> None:
    from isocenter.core.deid.profile import explain
    from isocenter.core.deid.standard.dictionary import tag_of_keyword

    digits = text.strip("() ").replace(",", "")
    try:
        is_tag = len(digits) == 8 and not text.isalpha()
        tag = int(digits, 16) if is_tag else tag_of_keyword(text)
    except (KeyError, ValueError):
        fail(f"{text}: no attribute of PS3.6; give a keyword or a tag such as 0010,0010", USAGE)
    lines = explain(tag, policy)
    if as_json:
        sys.stdout.write(json.dumps({"tag": f"{tag:08X}", "lines": lines}, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(lines) + "\n")


def _deidentify(
    path: Path,
    out: Path,
    policy: Policy,
    patients: Patients,
    *,
    quarantine: Path | None,
    words: tuple[str, ...],
    whole_studies: bool,
    processes: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    from isocenter.core.deid.proof.report import write
    from isocenter.core.deid.study import Run, default_quarantine, deidentify_paths

    started = monotonic()
    quarantine = quarantine or default_quarantine(out)
    files = _files(path, [folder.resolve() for folder in (out, quarantine)])
    try:
        with patients.pseudonyms(policy, dry_run=dry_run) as called, LateProgress() as progress:
            run = Run(
                out, policy, patients.keys.secret, called, quarantine,
                lexicon=words, whole_studies=whole_studies, dry_run=dry_run,
            )  # fmt: skip
            report = deidentify_paths(files, run, processes=processes, on_progress=progress)
    except ConfigurationError as error:
        fail(str(error), USAGE)
    if not dry_run:
        write(report, out)
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        _print(report, out, monotonic() - started)
    if not report.is_clean:
        raise typer.Exit(VERIFICATION_FAILED)


def _files(path: Path, own: list[Path]) -> list[Path]:
    """All files, but none of those that a run before this one wrote below the input."""
    if path.is_file():
        return [path]
    files = _below(path, set())
    base = path.resolve()
    inside = [folder for folder in own if folder.is_relative_to(base)]
    if any(folder == base for folder in inside):
        fail("IN and OUT are the same folder", USAGE)
    if not inside:
        return list(files)
    return [f for f in files if not any(f.resolve().is_relative_to(folder) for folder in inside)]


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Files below a folder; links to folders are followed, each folder is entered once."""
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            yield from _below(entry, seen)
        elif entry.is_file():
            yield entry


def _print(report: BatchReport, out: Path, seconds: float) -> None:
    released = sum(study.released for study in report.studies)
    objects = sum(len(study.objects) for study in report.studies)
    for study in report.studies:
        colour = typer.colors.GREEN if study.state == "released" else typer.colors.RED
        count = f"{study.released} of {len(study.objects)} objects"
        typer.secho(f"{study.state:9} {study.study_uid}  {study.patient_id}  {count}", fg=colour)
        if study.reason:
            typer.echo(f"          {study.reason}")
        for reason, number in _counted(one.refused for one in study.refused):
            if reason and reason != study.reason:
                typer.secho(f"          refused {number}: {reason}", fg=typer.colors.YELLOW)
        for where, number in _counted(f"{kind} at {place}" for _, place, kind in study.findings):
            typer.secho(f"          found {number}: {where}", fg=typer.colors.RED)
        for name, number in study.kept_by_rule.items():
            typer.secho(f"          kept by rule {number}: {name}", fg=typer.colors.YELLOW)
    for reason, number in (*report.unreadable.items(), *report.skipped.items()):
        typer.secho(f"left out {number}: {reason}", fg=typer.colors.YELLOW)
    verb = "would leave" if report.dry_run else f"in {out}"
    typer.echo(f"{released} of {objects} objects {verb}, in {seconds:.1f} s")


def _counted(texts: Iterable[str | None]) -> list[tuple[str, int]]:
    return sorted(Counter(text or "" for text in texts).items())
