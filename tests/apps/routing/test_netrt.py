"""NETRT's configuration: every key of its code, files and documents is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from isocenter.apps.deid.services import policy_of, read_file
from isocenter.apps.routing.documents import write_yaml
from isocenter.apps.routing.netrt import NOT_TAKEN, TAKEN, translate
from isocenter.apps.routing.pipelines import check_file
from isocenter.core.errors import ConfigurationError
from isocenter.runtime.settings import Settings

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "netrt.md"

#: Written down from the reference, independent of the product's table.
KEYS = [
    "dicom_listener.host",
    "dicom_listener.port",
    "dicom_listener.ae_title",
    "dicom_listener.config_negotiated_transfer_syntax",
    "dicom_destination.ip",
    "dicom_destination.port",
    "dicom_destination.ae_title",
    "directories.working",
    "directories.logs",
    "directories.quarantine_subdir",
    "logging.level",
    "logging.format",
    "logging.application_log_file",
    "logging.transaction_log_file",
    "logging.transaction_log_format",
    "anonymization.enabled",
    "anonymization.site_code",
    "anonymization.pid_mapping_file",
    "anonymization.study_description",
    "anonymization.use_consistent_pid",
    "anonymization.rules.remove_tags",
    "anonymization.rules.blank_tags",
    "anonymization.rules.generate_random_id_prefix",
    "anonymization.full_anonymization_enabled",
    "anonymization.default_tags_to_remove",
    "anonymization.default_tags_to_blank",
    "anonymization.full_anonymization_rules.tags_to_remove",
    "anonymization.full_anonymization_rules.tags_to_empty",
    "anonymization.full_anonymization_rules.tags_to_modify_date",
    "anonymization.full_anonymization_rules.tags_to_modify_time",
    "anonymization.full_anonymization_rules.tags_to_regenerate_uid",
    "anonymization.full_anonymization_rules.patient_id_override",
    "anonymization.full_anonymization_rules.patient_name_override",
    "processing.ignore_contour_names_containing",
    "processing.overlay_series_number",
    "processing.overlay_series_description",
    "processing.overlay_study_id",
    "processing.add_burn_in_disclaimer",
    "processing.burn_in_text",
    "processing.segmentation_series_number",
    "processing.segmentation_series_description_template",
    "processing.segmentation_algorithm_name",
    "processing.segmentation_algorithm_version",
    "processing.segmentation_tracking_id",
    "processing.debug_series_number",
    "processing.debug_series_description",
    "watcher.debounce_interval_seconds",
    "watcher.min_file_count_for_processing",
    "feature_flags.enable_segmentation_export",
    "reporting.output_directory",
]

LONG = "x" * 80
CONFIG = yaml.safe_load("""
dicom_listener: {host: 10.0.0.1, port: 104, ae_title: CORRECT}
dicom_destination: {ip: 10.0.0.2, port: 4242, ae_title: PACS}
logging: {level: WARNING}
anonymization: {enabled: false}
processing:
  ignore_contour_names_containing: [skull, couch]
  overlay_series_number: 999
  overlay_series_description: Overlay
  overlay_study_id: RTPlanShare
  add_burn_in_disclaimer: true
  burn_in_text: NOT FOR CLINICAL USE
  debug_series_number: 101
  debug_series_description: "DEBUG: Contour Overlay Visualization"
watcher: {debounce_interval_seconds: 5, min_file_count_for_processing: 10}
reporting: {output_directory: /mnt/shared}
""")


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_a_fate_and_stands_in_the_guide(key):
    assert (key in TAKEN) != (key in NOT_TAKEN)
    assert f"| `{key}` |" in GUIDE.read_text("utf-8")


def test_no_key_is_made_up():
    assert set(TAKEN) | set(NOT_TAKEN) == set(KEYS)


def test_the_translation_is_valid_and_says_what_the_file_said():
    result = translate(CONFIG)
    file = check_file(yaml.safe_load(write_yaml(result.routes)))
    settings = Settings(**result.settings)

    assert settings.receiver.hosts == ("10.0.0.1",)
    assert (settings.receiver.port, settings.receiver.ae_title) == (104, "CORRECT")
    assert (settings.logs.level, settings.reports.folder) == ("WARNING", Path("/mnt/shared"))
    (node,), (pipeline,), (route,) = file.nodes, file.pipelines, file.routes
    assert (node.host, node.port, node.ae_title) == ("10.0.0.2", 4242, "PACS")
    contours, burn_in, deliver = pipeline.steps
    assert contours.parameters["choice"] == {"ignore": ["skull", "couch"]}
    assert contours.parameters["series_number"] == 999
    assert contours.parameters["study_id"] == "RTPlanShare"
    assert burn_in.parameters["text"] == "NOT FOR CLINICAL USE"
    assert deliver.step == "deliver"
    assert route.enabled
    assert route.destinations == (node.name,)
    assert (route.completion.debounce_s, route.completion.min_instances) == (5, 10)


ANONYMISED = """
anonymization:
  enabled: true
  site_code: CH
  study_description: RESEARCH
  rules:
    remove_tags: [OperatorsName, PatientAge]
    blank_tags: [AccessionNumber]
"""


@pytest.mark.parametrize("section", ["", ANONYMISED])
def test_with_anonymisation_on_everything_that_is_sent_is_deidentified(section):
    content = {key: value for key, value in CONFIG.items() if key != "anonymization"}
    content |= yaml.safe_load(section) or {}  # without the section NETRT anonymises too
    result = translate(content, text=section, with_previews=True)

    file = check_file(yaml.safe_load(write_yaml(result.routes)), known_projects=["netrt"])

    (pipeline,), (route,) = file.pipelines, file.routes
    assert route.enabled
    assert route.deidentified_only
    deidentify, *_, deliver = pipeline.steps
    assert (deidentify.step, deidentify.parameters) == ("deidentify", {"project": "netrt"})
    assert deliver.parameters["kinds"] == ["overlay", "preview", "preview-sc"]
    document, _ = read_file(write_yaml(result.project))
    assert document.words == ("couch", "skull")
    if not section:
        assert (document.presets, document.rules) == (("netrt",), "")
        assert document.pseudonyms.kind == "keyed"
        return
    assert (document.presets, document.pseudonyms.site) == ((), "CH")
    rules = policy_of(document).rules
    assert {tag.text for rule in rules.rules for tag in rule.tags} == {
        "/StudyDescription", "OperatorsName", "PatientAge", "AccessionNumber"
    }  # fmt: skip


def test_without_anonymisation_there_is_no_project():
    result = translate({**CONFIG, "anonymization": {"enabled": False, "site_code": "CH"}})
    assert result.project is None
    assert not result.routes["routes"][0].get("deidentified_only")
    fates = {line.key: line.is_taken for line in result.lines}
    assert fates["anonymization.site_code"] is False


def test_previews_come_with_debug_only():
    steps = [item["step"] for item in translate(CONFIG).routes["pipelines"][0]["steps"]]
    assert "preview" not in steps
    result = translate(CONFIG, with_previews=True)
    check_file(result.routes)
    (preview,) = [s for s in result.routes["pipelines"][0]["steps"] if s["step"] == "preview"]
    assert preview["with"]["series_number"] == 101


def test_an_empty_file_means_netrt_s_defaults_and_no_destination():
    result = translate({})
    check_file(result.routes)
    assert result.routes["nodes"] == []
    assert "destination" in result.routes["routes"][0]["disabled_reason"]


def test_unknown_and_shortened_keys_are_listed():
    content = {**CONFIG, "processing": {**CONFIG["processing"], "overlay_series_description": LONG},
               "mystery": {"key": 1}}  # fmt: skip
    result = translate(content)
    check_file(result.routes)
    fates = {line.key: line.fate for line in result.lines if "shortened" in line.fate}
    assert "processing.overlay_series_description" in fates
    assert ("mystery.key", False) in {(line.key, line.is_taken) for line in result.lines}


def test_a_value_that_makes_no_sense_is_an_error_that_names_the_key():
    with pytest.raises(ConfigurationError, match=r"dicom_listener\.port"):
        translate({"dicom_listener": {"port": "many"}})
