"""Concept names whose content items say who somebody is (PS3.16 annex D, DCM scheme).

The kinds are those of :mod:`~isocenter.core.deid.proof.identifiers`. TIDs 1002 to 1009 (observation
context), 1020 (person participant), 1021 (device participant) and 1204 onwards use them.
"""

from __future__ import annotations

#: DCM code value → kind of identifier that a content item with this concept name holds.
IDENTIFYING_CONCEPTS: dict[str, str] = {
    "121008": "name",  # Person Observer Name
    "121009": "institution",  # Person Observer's Organization Name
    "121029": "name",  # Subject Name
    "121030": "id",  # Subject ID
    "121031": "date",  # Subject Birth Date
    "121036": "name",  # Mother of fetus
    "121081": "name",  # Physician
    "121114": "name",  # Performing Physician
    "121152": "name",  # Person administering drug/contrast
    "128774": "name",  # Person Observer's Login Name
    "128775": "id",  # Identifier within Person Observer's Role
    "113870": "name",  # Person Name
    "113871": "id",  # Person ID
    "113872": "institution",  # Person ID Issuer
    "113873": "institution",  # Organization Name
    "121020": "order",  # Placer Number
    "121021": "order",  # Filler Number
    "121022": "id",  # Accession Number
    "121040": "id",  # Specimen Accession Number
    "121041": "order",  # Specimen Identifier
    "111700": "order",  # Specimen Container Identifier
    "111705": "order",  # Parent Specimen Identifier
    "111706": "institution",  # Issuer of Parent Specimen Identifier
    "111724": "institution",  # Issuer of Specimen Identifier
    "110190": "institution",  # Issuer of Identifier
    "113516": "order",  # Prescription Identifier
    "111718": "institution",  # Location of Specimen
    "121434": "institution",  # Service Delivery Location
    "121013": "device",  # Device Observer Name
    "121016": "device",  # Device Observer Serial Number
    "121017": "device",  # Device Observer Physical Location During Observation
    "121193": "device",  # Device Subject Name
    "121196": "device",  # Device Subject Serial Number
    "121197": "device",  # Device Subject Physical Location during observation
    "113877": "device",  # Device Name
    "113880": "device",  # Device Serial Number
    "122143": "device",  # Acquisition Device ID
    "110119": "device",  # Station AE Title
    "121148": "device",  # Unit Serial Identifier
    "113514": "device",  # Radionuclide Vial Identifier
    "113511": "device",  # Radiopharmaceutical Dispense Unit Identifier
    "113512": "device",  # Radiopharmaceutical Lot Identifier
    "113513": "device",  # Reagent Vial Identifier
}

#: Characteristics of the patient: they go unless they are retained (113108).
CHARACTERISTIC_CONCEPTS = frozenset(
    (
        "121032",  # Subject Sex
        "121033",  # Subject Age
        "121034",  # Subject Species
        "121035",  # Subject Breed
    )
)

#: What a device is, which tells nobody's identity.
DEVICE_KIND_CONCEPTS = frozenset(
    (
        "121014",  # Device Observer Manufacturer
        "121015",  # Device Observer Model Name
        "121194",  # Device Subject Manufacturer
        "121195",  # Device Subject Model Name
        "113878",  # Device Manufacturer
        "113879",  # Device Model Name
    )
)
