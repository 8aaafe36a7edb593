"""The statement as one page, in the order of PS3.2 annex N."""

from __future__ import annotations

from pydicom.charset import python_encoding

from isocenter.runtime.conformance.dicomweb import dicomweb_section
from isocenter.runtime.conformance.dimse import dimse_sections
from isocenter.runtime.conformance.markdown import code, table

_HEAD = """# DICOM conformance statement

This page is made from the tables that the code works by (`make docs`); a test keeps it current.

Isocenter receives, keeps, finds, sends and serves DICOM objects of every kind, over DIMSE
(PS3.4, PS3.7, PS3.8) and DICOMweb (PS3.18), and writes media directories into the archives that
it gives out (PS3.10). What each answer costs, and beside whom, is in
[performance](performance.md); every setting is in
[configuration](reference/configuration.md).

| | as user (SCU) | as provider (SCP) |
|---|---|---|
| Verification | yes | yes |
| Storage | yes | yes |
| Query | Study Root | Patient Root, Study Root |
| Retrieve | | C-MOVE, C-GET; Patient Root, Study Root |
| Storage Commitment Push Model | yes, per node | yes |
| DICOMweb | STOW-RS, QIDO-RS | QIDO-RS, WADO-RS, WADO-URI, STOW-RS, delete |
| Media | File-set Creator (in ZIP) | |
"""

_MEDIA = """## Media

A study or a series is given out as a ZIP of its files as they are stored, and with the option
DICOMDIR as a file-set (PS3.10 8): File IDs of at most three components of eight letters
(`DICOM/SE000001/IM000001`), a DICOMDIR of PATIENT, STUDY, SERIES and the instances' records (PS3.3
annex F) in explicit little endian. Files keep their transfer syntax, so no application profile of
PS3.11 is claimed: those allow some syntaxes only. What a record must have and a header lacks is
made up (`UNKNOWN`, `19000101`), as `dcmmkdir --invent` does it; instances whose kind needs more
than that become PRIVATE records. With a password, files are encrypted as WinZip does it
(AES-256, AE-2); that is no profile of PS3.15.
"""


def conformance_page() -> str:
    """The whole page as Markdown. Needs Django to be set up."""
    return "\n".join([_HEAD, *dimse_sections(), dicomweb_section(), _character_sets(), _MEDIA])


def _character_sets() -> str:
    known = sorted(term for term in python_encoding if term)
    rows = [(code(term), "with code extensions" if "2022" in term else "") for term in known]
    return (
        "## Character sets\n\nText is read in every character set of PS3.3 C.12.1.1.2, kept as it "
        "came and compared as Unicode. Answers of C-FIND are in the query's own character set "
        "where it can write them, else in `ISO_IR 192`; DICOMweb answers are UTF-8.\n\n"
        + table(("Specific Character Set", ""), rows)
    )
