"""NETRT's configuration: its lists, its pattern, and what it never reads."""

from __future__ import annotations

import pytest

from isocenter.core.deid.importers import import_netrt
from isocenter.core.deid.rules.values import ChangeKind
from isocenter.core.errors import ConfigurationError

SHIPPED = """\
dicom_listener: {port: 11112}
anonymization:
  enabled: true
  site_code: WFU
  pid_mapping_file: /mnt/shared/pid_mapping.json
  study_description: Research
  full_anonymization_enabled: true
  rules:
    remove_tags:
      - AccessionNumber
      - PatientID
      - OperatorName
    blank_tags: [StudyID]
    generate_random_id_prefix: ""
"""


def test_lists_pattern_and_site() -> None:
    found = import_netrt(SHIPPED)
    kinds = [(rule.tags[0].text, rule.change.kind) for rule in found.rules.rules]
    assert kinds == [
        ("/StudyDescription", ChangeKind.REPLACE),
        ("AccessionNumber", ChangeKind.REMOVE),
        ("StudyID", ChangeKind.EMPTY),
    ]
    assert (found.pattern, found.site) == ("{site}_{counter:04}_{StudyDate}", "WFU")
    assert [(one.line, one.text) for one in found.unmapped] == [
        (7, "full_anonymization_enabled"),
        (12, "OperatorName"),
        (14, "generate_random_id_prefix"),
    ]
    assert "OperatorsName" in found.unmapped[1].why
    assert [one.line for one in found.changed] == [5, 11]


def test_switches() -> None:
    found = import_netrt(SHIPPED.replace("enabled: true", "enabled: false", 1))
    assert found.pattern == ""
    assert "switched off" in found.unmapped[-2].why
    found = import_netrt(
        "anonymization: {apply_site_code: false, rules: {remove_tags: [PatientID]}}"
    )
    assert [rule.tags[0].text for rule in found.rules.rules] == ["PatientID"]
    assert found.unmapped[0].text == "apply_site_code: false"


@pytest.mark.parametrize("text", ["", "[", "a: b", "anonymization: x"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="NETRT configuration"):
        import_netrt(text)
