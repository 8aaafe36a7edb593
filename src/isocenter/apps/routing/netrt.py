"""NETRT's configuration in our words: every one of its keys has an entry here.

The meaning of the keys is that of NETRT's code, not of its documents: some keys are never read
there. What NETRT does when a key is absent (its own defaults) is what the translation does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from isocenter.apps.routing.documents import write_yaml
from isocenter.apps.routing.netrt_project import PROJECT, project_of
from isocenter.core.errors import ConfigurationError

NODE = "netrt-destination"
ROUTE = "netrt"

#: Defaults of NETRT's code for keys that decide what the translation does.
_DEFAULTS: dict[str, Any] = {
    "dicom_listener.host": "0.0.0.0",  # noqa: S104 -- what NETRT listens on
    "dicom_listener.port": 11112,
    "dicom_listener.ae_title": "CORRECT",
    "anonymization.enabled": True,
    "processing.ignore_contour_names_containing": ["skull"],
    "processing.overlay_series_number": 98,
    "processing.overlay_series_description": "RESEARCH ONLY: Unapproved Treatment Plan CT w Mask",
    "processing.overlay_study_id": "RTPlanShare",
    "processing.add_burn_in_disclaimer": True,
    "processing.burn_in_text": "FOR RESEARCH USE ONLY - NOT FOR CLINICAL USE",
    "processing.debug_series_number": 101,
    "processing.debug_series_description": "DEBUG: Contour Overlay",
    "watcher.debounce_interval_seconds": 60,
    "watcher.min_file_count_for_processing": 2,
}

#: Keys that become a setting or a parameter, and which.
TAKEN: dict[str, str] = {
    "dicom_listener.host": "setting receiver.hosts",
    "dicom_listener.port": "setting receiver.port",
    "dicom_listener.ae_title": "setting receiver.ae_title",
    "dicom_destination.ip": f"host of the node {NODE}",
    "dicom_destination.port": f"port of the node {NODE}",
    "dicom_destination.ae_title": f"ae_title of the node {NODE}",
    "logging.level": "setting logs.level",
    "anonymization.enabled": f"the step deidentify with the project {PROJECT}, and "
    "deidentified_only of the route",
    "anonymization.site_code": "project: pseudonyms.site",
    "anonymization.study_description": "project: a rule for StudyDescription",
    "anonymization.use_consistent_pid": "project: a patient has one pseudonym, always",
    "anonymization.rules.remove_tags": "project: rules, and in any case the Basic Profile",
    "anonymization.rules.blank_tags": "project: rules, and in any case the Basic Profile",
    "processing.ignore_contour_names_containing": "contours: choice.ignore",
    "processing.overlay_series_number": "contours: series_number",
    "processing.overlay_series_description": "contours: series_description",
    "processing.overlay_study_id": "contours: study_id",
    "processing.add_burn_in_disclaimer": "whether the pipeline has the step burn_in",
    "processing.burn_in_text": "burn_in: text",
    "processing.segmentation_series_number": "contours: segmentation_series_number "
    "(used when formats has seg; NETRT itself never reads it)",
    "processing.segmentation_series_description_template": "contours: "
    "segmentation_series_description, without its {} (used when formats has seg; NETRT itself "
    "never reads it)",
    "processing.debug_series_number": "preview: series_number (with --debug)",
    "processing.debug_series_description": "preview: series_description (with --debug)",
    "watcher.debounce_interval_seconds": "route: completion.debounce_s",
    "watcher.min_file_count_for_processing": "route: completion.min_instances",
    "reporting.output_directory": "setting reports.folder",
}

_NO_READER = "not taken: NETRT never reads it"
_OWN_LOG = "not taken: logs are JSON lines with the names of the standard"

#: Keys that become nothing, and why.
NOT_TAKEN: dict[str, str] = {
    "dicom_listener.config_negotiated_transfer_syntax": f"{_NO_READER}; every transfer syntax is "
    "accepted and kept",
    "directories.working": "not taken: everything is in the data directory (--data-dir), which is "
    "not shared with NETRT",
    "directories.logs": "not taken: logs/ in the data directory",
    "directories.quarantine_subdir": "not taken: quarantine/ in the data directory",
    "logging.format": _OWN_LOG,
    "logging.application_log_file": "not taken: logs/application.jsonl",
    "logging.transaction_log_file": "not taken: logs/transactions.jsonl",
    "logging.transaction_log_format": f"{_OWN_LOG}; the events have NETRT's names",
    "anonymization.pid_mapping_file": "not taken: give the file itself, and its pseudonyms go on: "
    f"isocenter deid-project import {PROJECT} FILE --netrt",
    "anonymization.rules.generate_random_id_prefix": _NO_READER,
    "anonymization.full_anonymization_enabled": _NO_READER,
    "anonymization.default_tags_to_remove": _NO_READER,
    "anonymization.default_tags_to_blank": _NO_READER,
    "anonymization.full_anonymization_rules.tags_to_remove": _NO_READER,
    "anonymization.full_anonymization_rules.tags_to_empty": _NO_READER,
    "anonymization.full_anonymization_rules.tags_to_modify_date": _NO_READER,
    "anonymization.full_anonymization_rules.tags_to_modify_time": _NO_READER,
    "anonymization.full_anonymization_rules.tags_to_regenerate_uid": _NO_READER,
    "anonymization.full_anonymization_rules.patient_id_override": _NO_READER,
    "anonymization.full_anonymization_rules.patient_name_override": _NO_READER,
    "processing.segmentation_algorithm_name": f"{_NO_READER}; the structure set says who drew",
    "processing.segmentation_algorithm_version": f"{_NO_READER}; the structure set says who drew",
    "processing.segmentation_tracking_id": f"{_NO_READER}; each segment is tracked by its ROI",
    "feature_flags.enable_segmentation_export": f"{_NO_READER}; for a DICOM SEG add seg to formats",
}


@dataclass(frozen=True)
class Line:
    """What became of one key of the file."""

    key: str
    value: Any
    fate: str
    is_taken: bool


@dataclass(frozen=True)
class Translation:
    """Settings for ``isocenter.yaml``, a document for ``routes apply``, and a line per key.

    Attributes:
        project: for ``deid-project create``; None where NETRT does not anonymise.
    """

    settings: dict[str, Any]
    routes: dict[str, Any]
    lines: tuple[Line, ...] = field(default=())
    project: dict[str, Any] | None = None


def translate(
    content: Mapping[str, Any], *, text: str = "", with_previews: bool = False
) -> Translation:
    """Translate the content of NETRT's ``config.yaml``.

    Args:
        text: the file as it is, so that rules can name its lines.
        with_previews: NETRT was run with ``--debug``.

    Raises:
        ConfigurationError: a value that NETRT could not have used either.
    """
    given = dict(_flat(content))
    source = _Source(given)
    settings = _settings(source, given)
    routes = _routes(source, given, with_previews)
    project = None
    if source.flag("anonymization.enabled"):
        names = source("processing.ignore_contour_names_containing")
        project = project_of(content, text or write_yaml(content), map(str, names))
    lines = [_line(key, value, with_previews, project) for key, value in given.items()]
    lines += [Line(key, value, f"{note}", is_taken=True) for key, value, note in source.shortened]
    return Translation(settings, routes, tuple(lines), project)


class _Source:
    """Values of NETRT's keys with its defaults, of the type that is needed."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.shortened: list[tuple[str, Any, str]] = []

    def __call__(self, key: str) -> Any:
        value = self._given.get(key)
        return _DEFAULTS.get(key) if value is None else value

    def text(self, key: str, limit: int) -> str:
        value = str(self(key)).strip()
        if len(value) > limit:
            self.shortened.append((key, value, f"shortened to {limit} characters, as DICOM wants"))
            return value[:limit].rstrip()
        return value

    def number(self, key: str) -> int:
        value = self(key)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ConfigurationError(f"{key} is {value!r}, which is no number") from None

    def flag(self, key: str) -> bool:
        value = self(key)
        if not isinstance(value, bool):
            raise ConfigurationError(f"{key} is {value!r}; expected true or false")
        return value


def _settings(source: _Source, given: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "receiver": {
            "hosts": [str(source("dicom_listener.host"))],
            "port": source.number("dicom_listener.port"),
            "ae_title": source.text("dicom_listener.ae_title", 16),
        }
    }
    level = str(given.get("logging.level") or "").upper()
    if level:
        known = {"WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR", "NOTSET": "DEBUG"}
        level = known.get(level, level)
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ConfigurationError(f"logging.level is {level!r}, which is no level")
        settings["logs"] = {"level": level}
    if given.get("reporting.output_directory"):
        settings["reports"] = {"folder": str(given["reporting.output_directory"])}
    return settings


def _routes(source: _Source, given: Mapping[str, Any], with_previews: bool) -> dict[str, Any]:
    nodes = _nodes(source, given)
    is_anonymised = source.flag("anonymization.enabled")
    return {
        "nodes": nodes,
        "pipelines": [
            {
                "name": ROUTE,
                "description": "what NETRT does, from its config.yaml",
                "steps": _steps(source, given, with_previews),
            }
        ],
        "routes": [
            {
                "name": ROUTE,
                "description": "studies with an RT structure set",
                "enabled": bool(nodes),
                **({} if nodes else {"disabled_reason": "it has no destination yet"}),
                "condition": '"RTSTRUCT" in ModalitiesInStudy',
                "pipeline": ROUTE,
                "destinations": [node["name"] for node in nodes],
                **({"deidentified_only": True} if is_anonymised else {}),
                "completion": {
                    "debounce_s": float(source.number("watcher.debounce_interval_seconds")),
                    "min_instances": max(1, source.number("watcher.min_file_count_for_processing")),
                },
            }
        ],
    }


def _nodes(source: _Source, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not given.get("dicom_destination.ip"):
        return []
    port = 104 if given.get("dicom_destination.port") is None else None
    return [
        {
            "name": NODE,
            "kind": "dimse",
            "ae_title": str(given.get("dicom_destination.ae_title") or "DEST_AET")[:16],
            "host": str(given["dicom_destination.ip"]),
            "port": port or source.number("dicom_destination.port"),
        }
    ]


def _steps(source: _Source, given: Mapping[str, Any], with_previews: bool) -> list[dict[str, Any]]:
    ignored = source("processing.ignore_contour_names_containing")
    if not isinstance(ignored, list):
        raise ConfigurationError(
            f"processing.ignore_contour_names_containing is {ignored!r}; expected a list"
        )
    contours: dict[str, Any] = {
        "formats": ["overlay"],
        "overlay_mode": "merged",
        "choice": {"ignore": [str(item) for item in ignored]},
        "series_number": source.number("processing.overlay_series_number"),
        "series_description": source.text("processing.overlay_series_description", 64),
        "on_no_roi": "quarantine",
    }
    if source("processing.overlay_study_id"):
        contours["study_id"] = source.text("processing.overlay_study_id", 16)
    if given.get("processing.segmentation_series_number") is not None:
        contours["segmentation_series_number"] = source.number(
            "processing.segmentation_series_number"
        )
    template = given.get("processing.segmentation_series_description_template")
    if template:
        contours["segmentation_series_description"] = str(template).replace("{}", "").strip()
    steps: list[dict[str, Any]] = [{"step": "contours", "with": contours}]
    if source.flag("processing.add_burn_in_disclaimer"):
        text = " ".join(str(source("processing.burn_in_text")).split())
        steps.append({"step": "burn_in", "with": {"text": text, "position": "bottom-right"}})
    if with_previews:
        pictures = {
            "series_number": source.number("processing.debug_series_number"),
            "series_description": source.text("processing.debug_series_description", 64),
        }
        steps.append({"step": "preview", "with": pictures})
    if not source.flag("anonymization.enabled"):
        return [*steps, {"step": "deliver"}]
    # First, because the Basic Profile takes overlay planes out. NETRT sends what it makes; what
    # becomes of the received instances stays here.
    kinds = ["overlay", *(["preview", "preview-sc"] if with_previews else [])]
    deidentify = {"step": "deidentify", "with": {"project": PROJECT}}
    return [deidentify, *steps, {"step": "deliver", "with": {"kinds": kinds}}]


def _line(key: str, value: Any, with_previews: bool, project: Mapping[str, Any] | None) -> Line:
    if key.startswith("anonymization.") and key in TAKEN and project is None:
        return Line(key, value, "not taken: NETRT does not anonymise", is_taken=False)
    if key.startswith("processing.debug_") and key in TAKEN and not with_previews:
        return Line(key, value, "not taken: NETRT uses it with --debug only", is_taken=False)
    if key in TAKEN:
        return Line(key, value, TAKEN[key], is_taken=True)
    if key in NOT_TAKEN:
        return Line(key, value, NOT_TAKEN[key], is_taken=False)
    return Line(key, value, "not taken: NETRT has no such key", is_taken=False)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, value
