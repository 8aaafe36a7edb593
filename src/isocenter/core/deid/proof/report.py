"""What was done to the studies of a run, without a word that identifies anybody."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

from isocenter import __version__
from isocenter.core.deid.policy import BASIC_PROFILE, Option, Policy
from isocenter.core.deid.standard.dictionary import attribute
from isocenter.core.deid.standard.table import Table

State = Literal["released", "held", "refused"]
REPORT_STEM = "report"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;margin:2rem auto;max-width:62rem}
body{padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}td,th{text-align:left;padding:.25rem .6rem;
border-bottom:1px solid #dde3ea;vertical-align:top}th{font-weight:600}td.n{text-align:right}
code{font:13px ui-monospace,monospace;word-break:break-all}.released{color:#116329}
.held,.refused{color:#a40e26}.muted{color:#5b6b7b}
"""


@dataclass(frozen=True, slots=True)
class ObjectReport:
    """One object.

    Attributes:
        sop_uid: new SOP Instance UID; empty where the object could not be read.
        series_uid: new Series Instance UID.
        sop_class_uid: what it is.
        refused: why it did not leave; None if it did (or was held with its study).
        dropped: the policy leaves objects like it out: no reason to worry.
        regions: rectangles blanked, as JSON.
        pixels: what was done to its pixels; empty where nothing was.
        excused: elements that a site's rule keeps although they identify, by tag path; nothing
            that identifies people is among them.
    """

    sop_uid: str
    series_uid: str
    sop_class_uid: str
    refused: str | None = None
    dropped: bool = False
    regions: tuple[Mapping[str, Any], ...] = ()
    pixels: str = ""
    excused: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyReport:
    """One study.

    Attributes:
        state: ``released``; ``held``: the verifier found something, nothing of it is in the
            output; ``refused``: it was not begun, or nothing of it could leave.
        study_uid: new Study Instance UID.
        patient_id: the patient's pseudonym.
        reason: why it was held, or refused as a whole.
        objects: all of them.
        actions: how many elements each action was done to.
        findings: (SOP Instance UID, where, kind) of what the verifier found.
        searched: objects that the verifier searched.
        terms: what it searched for, counted by kind.
    """

    state: State
    study_uid: str
    patient_id: str = ""
    reason: str = ""
    objects: tuple[ObjectReport, ...] = ()
    actions: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[tuple[str, str, str], ...] = ()
    searched: int = 0
    terms: Mapping[str, int] = field(default_factory=dict)

    @property
    def excused(self) -> Counter[str]:
        """In how many objects a site's rule keeps what was found, by tag path."""
        return Counter(where for one in self.objects for where in one.excused)

    @property
    def kept_by_rule(self) -> dict[str, int]:
        """The same by keyword."""
        return by_attribute(self.excused)

    @property
    def kept_in(self) -> list[dict[str, list[str]]]:
        """The same object by object: tag paths (``where``) and the SOP Instance UIDs (``objects``)
        that they are excused in."""
        found: dict[tuple[str, ...], list[str]] = {}
        for one in self.objects:
            if one.excused:
                found.setdefault(tuple(sorted(one.excused)), []).append(one.sop_uid)
        return [
            {"where": list(where), "objects": sorted(uids)} for where, uids in sorted(found.items())
        ]

    @property
    def refused(self) -> tuple[ObjectReport, ...]:
        """Objects that did not leave."""
        return tuple(one for one in self.objects if one.refused is not None)

    @property
    def is_clean(self) -> bool:
        """Whether all of it left that the policy wants to leave."""
        return (
            self.state != "held"
            and all(one.dropped for one in self.refused)
            and (self.state == "released" or all(one.dropped for one in self.objects))
        )

    @property
    def released(self) -> int:
        """How many objects are in the output."""
        return len(self.objects) - len(self.refused) if self.state == "released" else 0

    def to_json(self) -> dict[str, Any]:
        """As ``report.json`` has it."""
        return {
            "state": self.state,
            "study_uid": self.study_uid,
            "patient_id": self.patient_id,
            "reason": self.reason,
            "objects": {"all": len(self.objects), "released": self.released},
            "sop_classes": dict(sorted(Counter(o.sop_class_uid for o in self.objects).items())),
            "refused": [
                {"sop_uid": o.sop_uid, "sop_class_uid": o.sop_class_uid, "reason": o.refused}
                for o in self.refused
            ],
            "actions": dict(sorted(self.actions.items())),
            "pixels": [
                {"sop_uid": o.sop_uid, "done": o.pixels, "regions": list(o.regions)}
                for o in self.objects
                if o.pixels or o.regions
            ],
            "verifier": {
                "searched": self.searched,
                "terms": dict(sorted(self.terms.items())),
                "findings": [
                    {"sop_uid": uid, "where": where, "kind": kind}
                    for uid, where, kind in self.findings
                ],
                "kept_by_rule": dict(sorted(self.excused.items())),
                "kept_in": self.kept_in,
            },
        }


@dataclass(frozen=True)
class BatchReport:
    """A run over a folder.

    Attributes:
        policy: what was asked for.
        studies: in the order of their new UIDs.
        skipped: files that are no objects of a study, by reason: no DICOM, a DICOMDIR.
        unreadable: DICOM files that no study could be told of, by reason.
        dry_run: nothing was written.
    """

    policy: Policy
    studies: tuple[StudyReport, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether everything that is DICOM left, and nothing was found."""
        return all(study.is_clean for study in self.studies) and not self.unreadable

    def to_json(self) -> dict[str, Any]:
        """As ``report.json`` has it."""
        return {
            "software": f"Isocenter {__version__}",
            "table_edition": Table.load().edition,
            "dry_run": self.dry_run,
            "profile": policy_json(self.policy),
            "studies": [study.to_json() for study in self.studies],
            "skipped": dict(sorted(self.skipped.items())),
            "unreadable": dict(sorted(self.unreadable.items())),
        }


def attribute_at(where: str) -> str:
    """The keyword of an element by its tag path; the tag itself where it has none."""
    tag = where.rpartition("/")[2]
    digits = tag.strip("()").replace(",", "")
    try:
        return attribute(int(digits, 16)).keyword or tag
    except ValueError:  # of a file: ``preamble``
        return where


def by_attribute(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by tag path as counts by keyword."""
    found: Counter[str] = Counter()
    for where, count in counts.items():
        found[attribute_at(where)] += count
    return dict(sorted(found.items()))


def policy_json(policy: Policy) -> dict[str, Any]:
    """A policy by its codes (PS3.16 CID 7050) and settings."""
    options = [option for option in Option if option in policy.options]
    return {
        "digest": policy.digest(),
        "codes": [list(BASIC_PROFILE), *([option.code, option.meaning] for option in options)],
        "dates": policy.dates,
        "whole_weeks": policy.whole_weeks,
        "keep_ages": policy.keep_ages,
        "pixels": policy.pixels,
        "faces": policy.faces,
        "documents": policy.documents,
        "site_rules": policy.rules is not None and bool(policy.rules),
    }


def write(report: BatchReport | StudyReport, folder: Path, policy: Policy | None = None) -> None:
    """Write ``report.json`` and ``report.html``, which needs nothing else to be shown.

    Args:
        report: of a run, or of one study.
        folder: is made if need be.
        policy: of the study; a run knows its own.
    """
    if isinstance(report, StudyReport):
        report = BatchReport(policy or Policy(), (report,))
    content = report.to_json()
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{REPORT_STEM}.json").write_text(text, "utf-8")
    (folder / f"{REPORT_STEM}.html").write_text(_html(content), "utf-8")


def _html(content: Mapping[str, Any]) -> str:
    profile = content["profile"]
    codes = ", ".join(f"{code} {meaning}" for code, meaning in profile["codes"])
    settings = "; ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in profile.items() if name != "codes"
    )
    head = [
        "<h1>De-identification</h1>",
        f"<p class=muted>{escape(content['software'])}, PS3.15 Table E.1-1 of "
        f"{escape(content['table_edition'])}{'; dry run' if content['dry_run'] else ''}</p>",
        f"<p>{escape(codes)}</p><p class=muted>{escape(settings)}</p>",
    ]
    studies = content["studies"]
    rows = [
        (
            f"<span class={study['state']}>{study['state']}</span>",
            f"<code>{escape(study['study_uid'])}</code>",
            escape(study["patient_id"]),
            f"{study['objects']['released']} of {study['objects']['all']}",
            str(len(study["verifier"]["findings"])),
        )
        for study in studies
    ]
    head.append(_table(("state", "study", "patient", "objects", "findings"), rows))
    others = (*content["unreadable"].items(), *content["skipped"].items())
    rest = [(escape(reason), str(count)) for reason, count in others]
    if rest:
        head += ["<h2>Files that are in no study</h2>", _table(("why", "files"), rest)]
    body = "".join([*head, *map(_study_html, studies)])
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>De-identification</title>"
        f"<style>{_STYLE}</style><body>{body}</body></html>\n"
    )


def _study_html(study: Mapping[str, Any]) -> str:
    verifier = study["verifier"]
    parts = [f"<h2>Study <code>{escape(study['study_uid'])}</code></h2>"]
    if study["reason"]:
        parts.append(f"<p class=refused>{escape(study['reason'])}</p>")
    searched = ", ".join(f"{count} {kind}" for kind, count in verifier["terms"].items())
    parts.append(
        f"<p>Verifier: {verifier['searched']} objects searched for "
        f"{escape(searched or 'nothing')}; {len(verifier['findings'])} findings.</p>"
    )
    for title, columns, rows in _sections(study):
        if rows:
            parts += [f"<h3>{escape(title)}</h3>", _table(columns, rows)]
    return "".join(parts)


def _sections(
    study: Mapping[str, Any],
) -> list[tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]]:
    """Tables of a study: title, columns, rows of HTML."""
    verifier = study["verifier"]
    kept = [(escape(path), str(count)) for path, count in verifier["kept_by_rule"].items()]
    return [
        (
            "Found: the study is held",
            ("object", "where", "kind"),
            [
                (f"<code>{escape(f['sop_uid'])}</code>", escape(f["where"]), escape(f["kind"]))
                for f in verifier["findings"]
            ],
        ),
        (
            "Refused",
            ("object", "why"),
            [
                (f"<code>{escape(o['sop_uid'] or 'unknown')}</code>", escape(o["reason"]))
                for o in study["refused"]
            ],
        ),
        ("Kept by a site's rule", ("element", "objects"), kept),
        (
            "Actions",
            ("action", "elements"),
            [(escape(name), str(count)) for name, count in study["actions"].items()],
        ),
        (
            "Pixels",
            ("object", "done", "regions"),
            [
                (
                    f"<code>{escape(p['sop_uid'])}</code>",
                    escape(p["done"]),
                    escape(_regions(p["regions"])),
                )
                for p in study["pixels"]
            ],
        ),
    ]


def _regions(regions: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{r['source']} {r['w']}x{r['h']} at {r['x']},{r['y']}" for r in regions)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table; cells are HTML."""
    head = "".join(f"<th>{escape(name)}" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f"<table><tr>{head}{body}</table>"
