"""Which UIDs name something that everybody shares, and no patient's object.

They must survive de-identification as they are: SOP classes, transfer syntaxes, coding schemes,
context groups, well-known instances and frames of reference of the standard (PS3.6 A), coding
schemes of other bodies (PS3.16 8), and vendors' private SOP classes and transfer syntaxes.
"""

from __future__ import annotations

import re

from pydicom._uid_dict import UID_dictionary

_DICOM_ROOT = "1.2.840.10008."

# Parts of the standard's own root that grow with every edition: transfer syntaxes, frames of
# reference, coding schemes, SOP classes, context groups, LDAP names, mapping resources. Arcs of
# up to four digits: somebody who makes instance UIDs under this root uses longer ones.
_GROWING = re.compile(
    r"1\.2\.840\.10008\.(?:1\.2|1\.4|2\.16|5\.1|6\.1|8\.1|15\.0|15\.1)(?:\.(?:0|[1-9]\d{0,3})){1,8}"
)

#: Coding schemes whose UID is not under the standard's root (PS3.16 table 8-1, edition 2024).
_CODING_SCHEMES = frozenset(
    f"2.16.840.1.113883.{arcs}"
    for arcs in (
        "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.8", "6.12", "6.42", "6.43.1", "6.45", "6.90",
        "6.96", "6.103", "6.104", "6.119", "6.121", "6.163", "6.256", "6.276", "5.1", "5.2",
        "5.4", "5.6", "5.60", "5.83", "5.111", "5.1008", "3.26.1.1", "6.216", "6.260", "6.230",
    )
)  # fmt: skip

#: Vendors' private storage classes and transfer syntaxes, as open-source toolkits list them
#: (DCMTK's dcuid, dcm4che's dictionaries).
_PRIVATE_CLASSES = frozenset(
    {
        # Siemens: CSA non-image, CT MR volume, AX frame sets
        "1.3.12.2.1107.5.9.1",
        "1.3.12.2.1107.5.99.3.10",
        "1.3.12.2.1107.5.99.3.11",
        # GE: DLX, 3D model, NM, display, RT plans, RTD
        "1.2.840.113619.4.2",
        "1.2.840.113619.4.3",
        "1.2.840.113619.4.4",
        "1.2.840.113619.4.5",
        "1.2.840.113619.4.5.249",
        "1.2.840.113619.4.7",
        "1.2.840.113619.4.17",
        "1.2.840.113619.4.26",
        "1.2.840.113619.4.27",
        "1.2.840.113619.4.30",
        "1.2.840.113619.5.2",
        "1.2.840.113708.794.1.1.2.0",
        # Philips
        "1.3.46.670589.2.3.1.1",
        "1.3.46.670589.2.4.1.1",
        "1.3.46.670589.2.5.1.1",
        "1.3.46.670589.5.0.1",
        "1.3.46.670589.5.0.1.1",
        "1.3.46.670589.5.0.2",
        "1.3.46.670589.5.0.2.1",
        "1.3.46.670589.5.0.3",
        "1.3.46.670589.5.0.3.1",
        "1.3.46.670589.5.0.4",
        "1.3.46.670589.5.0.7",
        "1.3.46.670589.5.0.8",
        "1.3.46.670589.5.0.9",
        "1.3.46.670589.5.0.10",
        "1.3.46.670589.5.0.11",
        "1.3.46.670589.5.0.11.1",
        "1.3.46.670589.5.0.12",
        "1.3.46.670589.5.0.12.1",
        "1.3.46.670589.5.0.13",
        "1.3.46.670589.5.0.14",
        "1.3.46.670589.7.8.1618510091",
        "1.3.46.670589.7.8.1618510092",
        "1.3.46.670589.7.8.16185100129",
        "1.3.46.670589.7.8.16185100130",
        "1.3.46.670589.11.0.0.12.1",
        "1.3.46.670589.11.0.0.12.2",
        "1.3.46.670589.11.0.0.12.4",
        "1.3.46.670589.33.1.4.1",
        # Toshiba, Fuji, Agfa, Acuson, Medinfo
        "1.2.392.200036.9116.7.8.1.1.1",
        "1.2.392.200036.9125.1.1.2",
        "1.2.392.200036.9125.1.1.4",
        "1.3.51.0.36.3.1",
        "1.2.840.113680.1.103.2",
        "1.2.826.0.1.3680043.293.1.0.1",
    }
)


def is_standard_uid(uid: str) -> bool:
    """Whether a UID names a class, syntax, scheme or well-known thing, and no instance."""
    if uid.startswith(_DICOM_ROOT):
        return uid in UID_dictionary or _GROWING.fullmatch(uid) is not None
    return uid in _CODING_SCHEMES or uid in _PRIVATE_CLASSES or uid == _DICOM_ROOT[:-1]
