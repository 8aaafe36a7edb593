"""Folder or files in, drawn contours out: what the command line and the step both call."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from isocenter import __version__
from isocenter.core.contours.draw import Drawing, draw_structure_set
from isocenter.core.contours.image_series import Pair, load_series
from isocenter.core.contours.options import ContourOptions
from isocenter.core.contours.outputs import Output, Scene, Writer, writer
from isocenter.core.contours.outputs.writer import Progress, silent
from isocenter.core.contours.pairing import Pairing, pair
from isocenter.core.contours.sources import Sources, files_under, sort_out
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.errors import ContourError

#: Changes whenever the same input draws other masks than before.
DRAWING_VERSION = "1"
SUMMARY_FILE = "summary.json"
#: Outputs that take nothing from the images but where they lie, and make no UIDs.
_PLAIN_OUTPUTS = frozenset(("json", "nifti", "nrrd", "stl"))
_READ, _DRAWN = 0.2, 0.35  # progress, as parts of the whole


@dataclass(frozen=True)
class Made:
    """A file that was written, with what determines its content."""

    output: Output
    determinant: str

    def to_json(self) -> dict[str, str]:
        """As the step's result names it; the digest is the SHA-256 of the file."""
        with self.output.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "kind": self.output.kind,
            "role": self.output.role,
            "path": str(self.output.path),
            "sop_uid": self.output.sop_uid,
            "series_uid": self.output.series_uid,
            "sop_class_uid": self.output.sop_class_uid,
            "determinant": self.determinant,
            "digest": digest,
        }


@dataclass(frozen=True)
class Summary:
    """What came of a conversion.

    Attributes:
        pairs: one entry per pair, as in ``summary.json``.
        made: files that were written.
        reused: determinants that were known, so that nothing was written for them.
        problems: what could not be done, for people.
    """

    pairs: tuple[dict[str, Any], ...]
    made: tuple[Made, ...] = ()
    reused: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        return tuple(made.output for made in self.made)

    @property
    def has_rois(self) -> bool:
        """Whether anything was drawn at all."""
        return any(pair["rois"] for pair in self.pairs)

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        return {
            "version": __version__,
            "pairs": list(self.pairs),
            "problems": list(self.problems),
        }


@dataclass(eq=False)
class _Work:
    """What stays the same through one conversion, and what has come together so far."""

    options: ContourOptions
    out_dir: Path
    made_at: datetime
    known: Collection[str]
    version: str
    on_progress: Progress
    with_determinants: bool = True
    made: list[Made] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)


def convert(
    paths: Path | Iterable[Path],
    options: ContourOptions,
    out_dir: Path,
    *,
    made_at: datetime,
    known: Collection[str] = (),
    digests: Mapping[Path, str] | None = None,
    version: str = "",
    bounds: Bounds = DEFAULT_BOUNDS,
    on_progress: Progress = silent,
    with_determinants: bool = True,
) -> Summary:
    """Draws every structure set on the series it belongs to, and writes ``options.formats``.

    Each pair gets a folder in `out_dir`, each format a folder in that. With "json" among the
    formats, ``summary.json`` is written into `out_dir`.

    Args:
        paths: a folder, or files and folders, that hold image series and RTSTRUCTs.
        options: what is asked for.
        out_dir: is made if it is not there.
        made_at: aware; all dates and times in what is written.
        known: determinants whose outputs exist already; they are not made again.
        digests: SHA-256 of the files, where they are known.
        version: of the step that asks; part of the determinants.
        bounds: on what is read.
        on_progress: takes fraction 0..1 and a message.
        with_determinants: whether `Summary.made` has to say what determines each file. Without,
            the inputs are hashed only for outputs that take UIDs from it, and the others have
            an empty determinant.

    Raises:
        ContourError: nothing was drawn although ``options.require_structure_set``.
        DicomError: an image cannot be read or written.
        OSError: a file cannot be read or written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    work = _Work(options, out_dir, made_at, known, version, on_progress, with_determinants)
    files = files_under([paths] if isinstance(paths, Path) else paths, except_under=out_dir)
    sources = sort_out(files, digests=digests, bounds=bounds)
    on_progress(_READ / 2, f"{len(files)} files")
    summary = _convert_sources(sources, work, bounds)
    if options.require_structure_set and not summary.has_rois:
        raise ContourError("nothing can be drawn: " + "; ".join(summary.problems))
    return _with_summary_file(summary, work) if "json" in options.formats else summary


def _convert_sources(sources: Sources, work: _Work, bounds: Bounds) -> Summary:
    pairing = _paired(sources, work.options, bounds)
    problems = [*sources.problems, *pairing.problems]
    if not sources.structure_sets:
        problems.append("there is no RT Structure Set")
    entries = _convert_pairs(pairing.pairs, sources, work, problems)
    return Summary(tuple(entries), tuple(work.made), tuple(work.reused), tuple(problems))


def _paired(sources: Sources, options: ContourOptions, bounds: Bounds) -> Pairing:
    needs_headers = not _PLAIN_OUTPUTS.issuperset(options.formats)
    return pair(
        sources.structure_sets,
        sources.series,
        lambda found: load_series(found, bounds=bounds, with_headers=needs_headers),
        allow_other_frame_of_reference=options.allow_other_frame_of_reference,
    )


def _convert_pairs(
    pairs: Sequence[Pair], sources: Sources, work: _Work, problems: list[str]
) -> list[dict[str, Any]]:
    entries = []
    for number, (found, stem) in enumerate(_with_stems(pairs)):
        told = _part(work.on_progress, number / len(pairs), (number + 1) / len(pairs))
        drawing, entry = _convert_pair(found, stem, sources, work, told)
        entries.append(entry)
        if not drawing.masks:
            problems.append(_nothing_left(found, drawing))
    return entries


def _part(on_progress: Progress, start: float, stop: float) -> Progress:
    first, last = _READ + start * (1 - _READ), _READ + stop * (1 - _READ)
    return lambda fraction, message: on_progress(first + fraction * (last - first), message)


def _convert_pair(
    found: Pair, stem: str, sources: Sources, work: _Work, on_progress: Progress
) -> tuple[Drawing, dict[str, Any]]:
    options = work.options
    formats = [name for name in options.formats if name != "json"]
    with ThreadPoolExecutor(1) as beside:  # hashing leaves Python to the drawing
        is_hashed = work.with_determinants or work.known or not _PLAIN_OUTPUTS.issuperset(formats)
        hashing = beside.submit(_pair_determinant, found, sources, work) if is_hashed else None
        drawing = draw_structure_set(
            found,
            options.choice,
            options.nesting,
            options.interpolate,
            on_roi=lambda done, total: on_progress(_DRAWN * done / total, "drawing"),
        )
        base = hashing.result() if hashing and drawing.masks else ""
    for number, name in enumerate(formats if drawing.masks else ()):
        made_by = writer(name)
        scene = Scene(
            pair=found,
            masks=drawing.masks,
            options=options,
            made_at=work.made_at,
            determinant=digest_of(base, name, made_by.version) if is_hashed else "",
            stem=stem,
            skipped=tuple((skipped.roi.name, skipped.reason) for skipped in drawing.skipped),
            on_progress=_share(on_progress, number, len(formats)),
        )
        _write(scene, made_by, work)
    return drawing, _entry(found, drawing, stem)


def _share(on_progress: Progress, number: int, count: int) -> Progress:
    def tell(fraction: float, message: str) -> None:
        on_progress(_DRAWN + (1 - _DRAWN) * (number + fraction) / count, message)

    return tell


def _write(scene: Scene, made_by: Writer, work: _Work) -> None:
    if scene.determinant and scene.determinant in work.known:
        work.reused.append(scene.determinant)
        return
    folder = work.out_dir / scene.stem / made_by.format
    folder.mkdir(parents=True, exist_ok=True)
    work.made += [Made(output, scene.determinant) for output in made_by(scene, folder)]


def digest_of(*parts: str) -> str:
    """SHA-256 over parts with their lengths, hex."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def _pair_determinant(found: Pair, sources: Sources, work: _Work) -> str:
    """What determines masks and outputs: images, structure set, options, versions."""
    options = work.options.to_json()
    for name in ("formats", "require_structure_set"):
        del options[name]
    inputs = [found.structure_set.path, *found.series.paths]
    return digest_of(
        DRAWING_VERSION,
        work.version,
        json.dumps(options, sort_keys=True),
        *(sources.digest(path) for path in inputs),
    )


def _entry(found: Pair, drawing: Drawing, stem: str) -> dict[str, Any]:
    return {
        "series_uid": found.series.series_uid,
        "rtstruct_uid": found.structure_set.sop_uid,
        "modality": found.series.modality,
        "study_uid": found.series.study_uid,
        "label": found.structure_set.label,
        "images": len(found.series),
        "matched_by": found.matched_by,
        "folder": stem,
        "warnings": [*found.warnings, *_uneven(found.series.stack)],
        "rois": [mask.summary() for mask in drawing.masks],
        "skipped_rois": [skipped.summary() for skipped in drawing.skipped],
    }


def _uneven(stack: SliceStack) -> list[str]:
    """A word about slices that are missing or not evenly spaced: volumes depend on the spacing."""
    if stack.is_uniform:
        return []
    usual = float(np.median(stack.gaps_mm))
    widest = int(np.argmax(stack.gaps_mm))
    return [
        f"slices are not evenly spaced, some may be missing: {stack.gaps_mm[widest]:.2f} mm "
        f"behind the slice at {stack.distances_mm[widest]:.2f} mm, elsewhere {usual:.2f} mm; "
        "volumes count each slice with its local distance"
    ]


def _nothing_left(found: Pair, drawing: Drawing) -> str:
    reasons = "; ".join(f"{skipped.roi.name}: {skipped.reason}" for skipped in drawing.skipped)
    said = reasons or "it has no ROIs"
    return f"structure set {found.structure_set.sop_uid}: no ROI is left ({said})"


def _with_stems(pairs: Iterable[Pair]) -> Iterator[tuple[Pair, str]]:
    """Each pair with a folder name of its own, made of modality and labels."""
    taken: set[str] = set()
    for found in pairs:
        label = found.structure_set.label or "RTSTRUCT"
        words = re.sub(r"[^A-Za-z0-9]+", "_", f"{found.series.modality}_{label}").strip("_")
        stem, number = words[:48] or "pair", 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{words[:48]}_{number}"
        taken.add(stem.casefold())
        yield found, stem


def _with_summary_file(summary: Summary, work: _Work) -> Summary:
    text = json.dumps(summary.to_json(), indent=2, ensure_ascii=False) + "\n"
    path = work.out_dir / SUMMARY_FILE
    path.write_text(text, encoding="utf-8")
    made = Made(Output("json", "summary", path), digest_of("summary", text))
    return replace(summary, made=(*summary.made, made))
