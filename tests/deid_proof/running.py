"""Runs ``isocenter deidentify`` as people run it: as a command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from deid_proof import answers
from deid_proof.pairing import write_mappings
from deid_proof.reading import read_folder
from deid_proof.score import Score, Scorer, Sets, mapping

FIRST_PROJECT = "5a" * 32
OTHER_PROJECT = "a5" * 32


def deidentify(
    source: Path,
    output: Path,
    arguments: Iterable[str] = (),
    *,
    secret: str = FIRST_PROJECT,
    processes: int = 2,
) -> subprocess.CompletedProcess[str]:
    """Run the command; the secret file is beside the output."""
    file = output.with_name(f"{output.name}.secret")
    file.write_text(secret + "\n")
    file.chmod(0o600)
    command = [
        str(Path(sys.executable).with_name("isocenter")),
        "deidentify",
        str(source),
        str(output),
        "--secret-file",
        str(file),
        "--processes",
        str(processes),
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def scored(source: Path, output: Path, database: Path, scratch: Path) -> Score:
    """The score of an output set, its mapping CSVs in ``scratch``."""
    before = read_folder(source)[0]
    objects, others = read_folder(output)
    uids, patients = write_mappings(before, objects, scratch)
    checks, free = list(answers.read(database)), answers.read_free(database)
    return Scorer(
        Sets(before, objects, others, checks, free, mapping(uids), mapping(patients))
    ).run()


def bytes_of(output: Path, suffixes: Sequence[str] = (".dcm", ".jsonl")) -> dict[str, bytes]:
    """Every file of an output set by its name below the folder."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.suffix in suffixes
    }
