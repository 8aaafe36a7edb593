"""``isocenter deidentify``: de-identify a folder and prove it; no server, no database."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from isocenter.cli.late_progress import LateProgress
from isocenter.cli.platform import USAGE, VERIFICATION_FAILED, JsonOption, fail
from isocenter.core.errors import ConfigurationError

if TYPE_CHECKING:
    from isocenter.core.deid.policy import Policy
    from isocenter.core.deid.proof.report import BatchReport
    from isocenter.core.deid.pseudonyms.issuing import Pseudonyms
    from isocenter.core.deid.pseudonyms.secrets import Secret

T = TypeVar("T", bound=str)
_PROFILES: tuple[str, ...] = ("basic",)
_KEY_FILE = "secret.key"
_PROJECT_FOLDERS = Path("~/.config/isocenter/projects")


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("deidentify")(deidentify_command)


def deidentify_command(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="IN", exists=True, help="Folder (or file) with DICOM objects."),
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder for what leaves.", file_okay=False)
    ] = None,
    *,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            help="Project whose secret makes the UIDs, shifts and pseudonyms; a new one gets one.",
        ),
    ] = None,
    projects: Annotated[
        Path,
        typer.Option(
            "--projects-dir",
            envvar="ISOCENTER_DEID_PROJECTS",
            help="Where projects have their secrets.",
        ),
    ] = _PROJECT_FOLDERS,
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", help="File with the secret, in place of a project."),
    ] = None,
    create_secret: Annotated[
        bool, typer.Option("--create-secret", help="Make the secret file where there is none.")
    ] = False,
    profile: Annotated[
        str, typer.Option("--profile", help="basic: PS3.15 Basic Application Level Profile.")
    ] = "basic",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Option of the profile; several times, or with commas."),
    ] = None,
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", exists=True, dir_okay=False, help="A site's own rules, YAML."),
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option("--preset", help="Rules that come with Isocenter.")
    ] = None,
    pixels: Annotated[
        str, typer.Option("--pixels", help="Burned-in text: off, templates or ocr.")
    ] = "off",
    dates: Annotated[str, typer.Option("--dates", help="remove, shift or keep.")] = "remove",
    whole_weeks: Annotated[
        bool, typer.Option("--whole-weeks", help="Shift dates by whole weeks.")
    ] = False,
    keep_ages: Annotated[
        bool, typer.Option("--keep-ages", help="Shift birth dates too, in place of emptying them.")
    ] = False,
    pseudonyms: Annotated[
        Path | None,
        typer.Option("--pseudonyms", exists=True, dir_okay=False, help="CSV: who is called what."),
    ] = None,
    faces: Annotated[
        str, typer.Option("--faces", help="Head CT and MR: ignore, refuse or deface.")
    ] = "ignore",
    documents: Annotated[
        str, typer.Option("--documents", help="Encapsulated documents: refuse or drop.")
    ] = "refuse",
    words: Annotated[
        Path | None,
        typer.Option("--words", exists=True, dir_okay=False, help="Words that texts may keep."),
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            "--quarantine", help="Folder for what does not leave. [default: OUT.quarantine]"
        ),
    ] = None,
    whole_studies: Annotated[
        bool,
        typer.Option("--whole-studies", help="Hold a study back if one of its objects is refused."),
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=0, help="0: as many as there are processors.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do and verify everything, release nothing.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain", help="Tell what becomes of an attribute (keyword or tag), and why."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """De-identify DICOM objects by PS3.15 Annex E, and search the result for what identified them.

    Each study leaves when it was searched and nothing was found; report.json, report.html and the
    action logs go with it. What does not leave is told of in the quarantine folder. Exit code 3:
    something was refused or found.
    """
    policy = _policy(
        profile, option, dates, pixels, faces, documents,
        whole_weeks=whole_weeks, keep_ages=keep_ages, rules=rules, presets=preset,
    )  # fmt: skip
    if explain is not None:
        _explain(explain, policy, as_json)
        return
    if path is None or out is None:
        fail("IN and OUT are needed: isocenter deidentify IN OUT --secret-file FILE", USAGE)
    secret = _secret(project, projects, secret_file, create=create_secret)
    report, seconds = _deidentify(
        path, out, policy, secret,
        _pseudonyms(pseudonyms, secret, policy),
        quarantine=quarantine, words=_words(words), whole_studies=whole_studies,
        processes=processes or os.cpu_count() or 1, dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        _print(report, out, seconds)
    if not report.is_clean:
        raise typer.Exit(VERIFICATION_FAILED)


def _policy(
    profile: str,
    options: list[str] | None,
    dates: str,
    pixels: str,
    faces: str,
    documents: str,
    *,
    whole_weeks: bool,
    keep_ages: bool,
    rules: list[Path] | None,
    presets: list[str] | None,
) -> Policy:
    from isocenter.core.deid.policy import Option, Policy
    from isocenter.core.deid.rules.presets import preset
    from isocenter.core.deid.rules.site_rules import RuleSet

    _one_of("--profile", profile, _PROFILES)
    named = [name.strip() for text in options or () for name in text.split(",") if name.strip()]
    for name in named:
        _one_of("--option", name, tuple(Option))
    if Option.CLEAN_PIXEL_DATA in named and pixels == "off":
        fail("--option clean-pixel-data says that pixels are cleaned: give --pixels too", USAGE)
    if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in named and faces == "ignore":
        fail("--option clean-recognizable-visual-features: give --faces too", USAGE)
    try:
        site = [RuleSet.from_yaml(path) for path in rules or ()]
        site += [preset(name) for name in presets or ()]
        together = site[0] if site else None
        for more in site[1:]:
            together = together + more if together else more
        return Policy(
            options=frozenset(Option(name) for name in named),
            dates=_one_of("--dates", dates, ("remove", "shift", "keep")),
            pixels=_one_of("--pixels", pixels, ("off", "templates", "ocr")),
            faces=_one_of("--faces", faces, ("ignore", "refuse", "deface")),
            documents=_one_of("--documents", documents, ("refuse", "drop")),
            whole_weeks=whole_weeks,
            keep_ages=keep_ages,
            rules=together,
        )
    except ConfigurationError as error:
        fail(str(error), USAGE)


def _one_of(name: str, value: str, allowed: tuple[T, ...]) -> T:
    for one in allowed:
        if value == one:
            return one
    fail(f"{name} {value}: choose one of {', '.join(allowed)}", USAGE)


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


def _secret(
    project: str | None, projects: Path, secret_file: Path | None, *, create: bool
) -> Secret:
    from isocenter.core.deid.pseudonyms.secrets import Secret

    if (project is None) == (secret_file is None):
        fail("give either --project NAME or --secret-file FILE", USAGE)
    try:
        if secret_file is not None:
            if create and not secret_file.exists():
                return Secret.create(secret_file)
            return Secret.from_file(secret_file)
        assert project is not None
        if not project.replace("-", "").replace("_", "").isalnum():
            fail("--project: letters, digits, - and _ make a name", USAGE)
        folder = projects.expanduser() / project
        file = folder / _KEY_FILE
        if file.exists():
            return Secret.from_file(file)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        typer.secho(f"new project {project}: its secret is {file}; keep it", err=True)
        return Secret.create(file)
    except ConfigurationError as error:
        fail(str(error), USAGE)


def _pseudonyms(path: Path | None, secret: Secret, policy: Policy) -> Pseudonyms:
    from isocenter.core.deid.pseudonyms.issuing import GivenPseudonyms, KeyedPseudonyms

    weeks, ages = policy.whole_weeks, policy.keep_ages
    if path is None:
        return KeyedPseudonyms(secret, whole_weeks=weeks, keep_ages=ages)
    try:
        return GivenPseudonyms.from_csv(path, secret, whole_weeks=weeks, keep_ages=ages)
    except ConfigurationError as error:
        fail(str(error), USAGE)


def _words(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    from isocenter.core.deid.text.matching import tokens_of

    lines = path.read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return tuple(sorted({token.folded for token in tokens_of(text)}))


def _deidentify(
    path: Path,
    out: Path,
    policy: Policy,
    secret: Secret,
    pseudonyms: Pseudonyms,
    *,
    quarantine: Path | None,
    words: tuple[str, ...],
    whole_studies: bool,
    processes: int,
    dry_run: bool,
) -> tuple[BatchReport, float]:
    from isocenter.core.deid.proof.report import write
    from isocenter.core.deid.study import Run, default_quarantine, deidentify_paths

    run = Run(
        out, policy, secret, pseudonyms, quarantine or default_quarantine(out),
        lexicon=words, whole_studies=whole_studies, dry_run=dry_run,
    )  # fmt: skip
    started = monotonic()
    own = [folder.resolve() for folder in (out, run.quarantine)]
    try:
        with LateProgress() as progress:
            files = _files(path, own)
            report = deidentify_paths(files, run, processes=processes, on_progress=progress)
    except ConfigurationError as error:
        fail(str(error), USAGE)
    if not dry_run:
        write(report, out)
    return report, monotonic() - started


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
    for reason, number in (*report.unreadable.items(), *report.skipped.items()):
        typer.secho(f"left out {number}: {reason}", fg=typer.colors.YELLOW)
    verb = "would leave" if report.dry_run else f"in {out}"
    typer.echo(f"{released} of {objects} objects {verb}, in {seconds:.1f} s")


def _counted(texts: Iterable[str | None]) -> list[tuple[str, int]]:
    return sorted(Counter(text or "" for text in texts).items())
