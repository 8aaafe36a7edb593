"""How fast and how exact structure sets become masks, beside the best peers.

    python benchmarks/contours.py [--quick] [--rounds N] [--peers-venv DIR]

Every program runs as a whole process: it reads 300 CT slices of 512² and a structure set with ten
ROIs, and writes one uint8 NIfTI mask per ROI; once uncompressed, once as .nii.gz at the lowest
level that the program offers (ours: 1). The masks of each are compared with a slow even-odd oracle
and with the formulas of the shapes. The Python peers live in an environment of their own (they
need pydicom<3), which is made at ``--peers-venv`` when it is missing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from stand.rasterisers import (
    DcmRtStruct2Nii,
    Isocenter,
    Plastimatch,
    Rasteriser,
    RtUtils,
    Usage,
    is_there,
    run_watched,
)
from stand.structures import SPACING_MM, Shape, oracle, shapes, write_case
from stand.table import machine, middle, print_claims, print_table

HERE = Path(__file__).resolve().parent
SLICES, SIZE = 300, 512
MANY_SLICES = 1000
MEMORY_GOAL_MB = 1500
PYTHON_PEERS = (RtUtils, DcmRtStruct2Nii)


def peers_environment(folder: Path) -> Path:
    """The interpreter that has the Python peers; made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        requirements = HERE / "peers-requirements.txt"
        command = [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)]
        subprocess.run(command, check=True)
    return python


def in_dicom_order(path: Path) -> NDArray[np.bool_]:
    """A mask as [slice, row, column] in LPS order, whatever order the file has."""
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    ras = np.asanyarray(canonical.dataobj)
    return np.ascontiguousarray(ras[::-1, ::-1, :].transpose(2, 1, 0) != 0)


def mask_of(shape: Shape, masks: dict[str, Path]) -> Path | None:
    """The file of a shape: names are changed by some programs, but hold the ROI's letters."""

    def letters(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    wanted = letters(shape.name)
    return next((p for name, p in masks.items() if wanted in letters(name)), None)


def accuracy(truth: dict[str, NDArray[np.bool_]], masks: dict[str, Path]) -> dict[str, str]:
    """By shape: volume against the formula in percent, and Dice with the oracle."""
    found = {}
    for shape in shapes():
        path = mask_of(shape, masks)
        if path is None:
            found[shape.name] = "missing"
            continue
        mask, wanted = in_dicom_order(path), truth[shape.name]
        if mask.shape != wanted.shape:
            found[shape.name] = f"shape {mask.shape}"
            continue
        volume_ml = np.count_nonzero(mask) * SPACING_MM**2 / 1000
        error = 100 * (volume_ml / shape.volume_ml(len(mask)) - 1)
        both = np.count_nonzero(mask & wanted)
        dice = 2 * both / (np.count_nonzero(mask) + np.count_nonzero(wanted))
        found[shape.name] = f"{error:+.2f} % ({dice:.4f})"
    return found


def memory(workspace: Path) -> Usage:
    """Everything that the contours step can write, for a CT of 1000 slices."""
    images, _ = write_case(workspace / "many", slices=MANY_SLICES, size=SIZE)
    command = [sys.executable, "-m", "isocenter.cli.main", "contours", str(images.parent)]
    out = workspace / "many-out"
    usage = run_watched([*command, "--out", str(out), "--formats", "overlay,seg,nifti,nrrd,json"])
    shutil.rmtree(out)
    return usage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="without the Python peers, which take up to 100 s"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers-venv", type=Path, default=HERE.parent / ".bench-venv")
    options = parser.parse_args()
    print(f"contours: {machine()}")
    programs: list[Rasteriser] = [Isocenter(Path()), Plastimatch(Path())]
    if not options.quick:
        programs += [kind(peers_environment(options.peers_venv)) for kind in PYTHON_PEERS]
    programs = [program for program in programs if is_there(program)]
    times: dict[tuple[str, str], list[Usage]] = defaultdict(list)
    exactness: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        workspace = Path(folder)
        images, structure_set = write_case(workspace / "case", slices=SLICES, size=SIZE)
        truth = {shape.name: oracle(shape, SLICES, SIZE) for shape in shapes()}
        for number in range(options.rounds):
            for suffix in (".nii", ".nii.gz"):
                for program in programs:
                    out = workspace / "out"
                    usage = program.run(images, structure_set, out, suffix)
                    times[suffix, program.name].append(usage)
                    print(f"round {number + 1}: {program.name} {suffix} {usage}", file=sys.stderr)
                    if program.name not in exactness:
                        exactness[program.name] = accuracy(truth, program.masks(out))
                    shutil.rmtree(out)
        many = memory(workspace)
    report(times, exactness, many)
    return 0


def report(
    times: dict[tuple[str, str], list[Usage]],
    exactness: dict[str, dict[str, str]],
    many: Usage,
) -> None:
    def seconds(suffix: str, name: str) -> float:
        return middle([usage.seconds for usage in times[suffix, name]])

    rows = [
        (suffix, name, seconds(suffix, name), max(u.peak_mb for u in usages), len(usages))
        for (suffix, name), usages in times.items()
    ]
    print_table(
        f"Ten ROIs on {SLICES} × {SIZE} × {SIZE}, whole process",
        ("output", "program", "seconds", "peak MB", "rounds"),
        rows,
    )
    names = list(exactness)
    print_table(
        "Volume against the formula (Dice with the even-odd oracle)",
        ("shape", *names),
        [(s.name, *(exactness[name][s.name] for name in names)) for s in shapes()],
    )
    print(f"\n{MANY_SLICES} slices: {many.seconds:.1f} s, {many.peak_mb:.0f} MB at most")
    claims = []
    for suffix in (".nii", ".nii.gz"):
        peers = [n for s, n in times if s == suffix and n != Isocenter.name]
        if peers:
            fastest = min(peers, key=lambda name: seconds(suffix, name))
            ratio = seconds(suffix, fastest) / seconds(suffix, Isocenter.name)
            claims.append((f"{suffix}, fastest peer: {fastest}", ratio, 5.0))
    ours = set(exactness[Isocenter.name].values())
    exact = float(all("(1.0000)" in value for value in ours))
    claims.append(("every shape equal to the oracle", exact, 1.0))
    claims.append((f"{MEMORY_GOAL_MB} MB / peak, 1000 slices", MEMORY_GOAL_MB / many.peak_mb, 1.0))
    print_claims(claims)


if __name__ == "__main__":
    raise SystemExit(main())
