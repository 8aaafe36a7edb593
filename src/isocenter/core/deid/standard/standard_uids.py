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

#: Coding schemes whose UID is not under the standard's root (PS3.16 table 8-1, edition 2026a), and
#: Varian's structure codes, which most RT structure sets name.
_CODING_SCHEMES = frozenset(
    """
    2.16.840.1.113883.6.1 2.16.840.1.113883.6.2 2.16.840.1.113883.6.3 2.16.840.1.113883.6.4
    2.16.840.1.113883.6.6 2.16.840.1.113883.6.8 2.16.840.1.113883.6.12 2.16.840.1.113883.6.13
    2.16.840.1.113883.6.14 2.16.840.1.113883.6.24 2.16.840.1.113883.6.42
    2.16.840.1.113883.6.43.1 2.16.840.1.113883.6.50 2.16.840.1.113883.6.51
    2.16.840.1.113883.6.53 2.16.840.1.113883.6.55 2.16.840.1.113883.6.69
    2.16.840.1.113883.6.76 2.16.840.1.113883.6.82 2.16.840.1.113883.6.86
    2.16.840.1.113883.6.88 2.16.840.1.113883.6.90 2.16.840.1.113883.6.96
    2.16.840.1.113883.6.99 2.16.840.1.113883.6.100 2.16.840.1.113883.6.119
    2.16.840.1.113883.6.121 2.16.840.1.113883.6.177 2.16.840.1.113883.6.210
    2.16.840.1.113883.6.256 2.16.840.1.113883.6.316 2.16.840.1.113883.3.26.1.1
    2.16.840.1.113883.3.26.2 2.16.840.1.113883.2.1.3.2.4.21 2.16.840.1.113883.15.2
    2.16.840.1.113883.15.3 1.3.6.1.4.1.19376.1.8.2.1 1.2.840.10065.1.12 2.16.1
    1.2.246.352.7.3.10 1.2.246.352.7.2.11 1.2.246.352.7.1.1
    """.split()  # noqa: SIM905 -- a list reads better so
)

#: Vendors' private SOP classes and transfer syntaxes, as the dictionaries of DCMTK and dcm4che
#: list them: Agfa, TomTec, Toshiba, Fuji, GE, ERAD, Philips, PixelMed, Siemens, PMOD.
_PRIVATE_CLASSES = frozenset(
    """
    1.2.124.113532.3500.7 1.2.124.113532.3500.8.1 1.2.124.113532.3500.8.2
    1.2.124.113532.3500.8.3 1.2.124.113532.3500.8.4
    1.2.276.0.48.5.1.4.1.1.7
    1.2.392.200036.9116.7.8.1.1.1 1.2.392.200036.9125.1.1.2
    1.2.528.1.1001.5.1.1.1 1.2.840.113619.4.2 1.2.840.113619.4.3 1.2.840.113619.4.4
    1.2.840.113619.4.5.249 1.2.840.113619.4.26 1.2.840.113619.4.27 1.2.840.113619.4.30
    1.2.840.113619.5.2
    1.2.826.0.1.3680043.293.1.0.1 1.2.826.0.1.3680043.293.1.0.2
    1.2.840.113543.6.6.1.3.10001 1.2.840.113543.6.6.1.3.10002
    1.3.6.1.4.1.5962.301.1 1.3.6.1.4.1.5962.301.2 1.3.6.1.4.1.5962.301.3
    1.3.6.1.4.1.5962.301.9
    1.3.12.2.1107.5.9.1 1.3.12.2.1107.5.99.3.10 1.3.12.2.1107.5.99.3.11
    1.3.46.670589.2.3.1.1 1.3.46.670589.2.4.1.1 1.3.46.670589.2.5.1.1 1.3.46.670589.2.8.1.1
    1.3.46.670589.2.11.1.1 1.3.46.670589.5.0.1 1.3.46.670589.5.0.1.1 1.3.46.670589.5.0.2
    1.3.46.670589.5.0.2.1 1.3.46.670589.5.0.3 1.3.46.670589.5.0.3.1 1.3.46.670589.5.0.4
    1.3.46.670589.5.0.7 1.3.46.670589.5.0.8 1.3.46.670589.5.0.8.1 1.3.46.670589.5.0.9
    1.3.46.670589.5.0.10 1.3.46.670589.5.0.11 1.3.46.670589.5.0.11.1 1.3.46.670589.5.0.12
    1.3.46.670589.5.0.13 1.3.46.670589.5.0.14 1.3.46.670589.7.8.1618510091
    1.3.46.670589.7.8.1618510092 1.3.46.670589.7.8.16185100129 1.3.46.670589.7.8.16185100130
    1.3.46.670589.11.0.0.12.1 1.3.46.670589.11.0.0.12.2 1.3.46.670589.11.0.0.12.3
    1.3.46.670589.11.0.0.12.4
    2.16.840.1.114033.5.1.4.1.1.130
    """.split()  # noqa: SIM905 -- a list reads better so
)


def names_instances(keyword: str) -> bool:
    """Whether an attribute of VR UI names instances: ``…InstanceUID``, one or several."""
    return keyword.endswith(("InstanceUID", "InstanceUIDs"))


_FORM = re.compile(r"[0-9]+(?:\.[0-9]+)*").fullmatch


def is_standard_uid(uid: str, *, is_instance: bool = False) -> bool:
    """Whether a UID names a class, syntax, scheme or well-known thing, and no instance.

    Args:
        uid: the UID.
        is_instance: it was found where instances are named: what only looks like one of the
            standard's newer UIDs is none there. Devices do make such.
    """
    if uid.startswith(_DICOM_ROOT):
        if uid in UID_dictionary:
            return True
        return not is_instance and _GROWING.fullmatch(uid) is not None
    return uid in _CODING_SCHEMES or uid in _PRIVATE_CLASSES or uid == _DICOM_ROOT[:-1]


def has_form_of_uid(text: str) -> bool:
    """Numbers with dots between them (PS3.5 9.1), or nothing.

    Leading zeros and more than 64 characters, which the standard forbids, are in the files of real
    devices and do no harm.
    """
    return not text or _FORM(text) is not None
