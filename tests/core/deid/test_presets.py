"""The rule sets that come with Isocenter."""

from __future__ import annotations

import pytest

from isocenter.core.deid.rules.presets import PRESETS, preset, preset_text
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.rules.tag_patterns import tag_of
from isocenter.core.errors import ConfigurationError


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_read_and_names_itself(name: str) -> None:
    assert preset(name).name == name
    assert RuleSet.from_yaml(preset(name).to_yaml()) == preset(name)
    assert preset_text(name).startswith("#")


NETRT = """
AccessionNumber PatientID ReferringPhysicianName OtherPatientIDs PatientBirthDate PatientWeight
PatientAge PatientAddress PatientTelephoneNumbers OtherPatientNames PatientMotherBirthName
ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers PhysiciansOfRecord OperatorsName
InstitutionName InstitutionAddress PerformingPhysicianName RequestingPhysician StudyID
"""
EDITOR = """
PatientName PatientID PatientBirthDate PatientSex PatientAge StudyDate StudyTime AccessionNumber
ReferringPhysicianName MedicalRecordLocator InstitutionName InstitutionAddress StudyDescription
SeriesDescription OperatorsName SeriesNumber InstanceNumber
"""


def tags_of(*names: str) -> set[int]:
    return {tag_of(keyword) for keyword in " ".join(names).split()}


def test_the_lists_are_whole() -> None:
    assert len(NETRT.split()) == 20
    assert tags_in("netrt") == tags_of(NETRT, "PatientName")
    assert len(EDITOR.split()) == 17
    assert tags_in("editor-17") == tags_of(EDITOR)


def tags_in(name: str) -> set[int | None]:
    return {pattern.tag for rule in preset(name).rules for pattern in rule.tags}


def test_another_name_says_which_there_are() -> None:
    with pytest.raises(ConfigurationError, match="netrt, editor-17"):
        preset("editor")
