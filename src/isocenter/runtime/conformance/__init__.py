"""The DICOM conformance statement (PS3.2), from the tables that the code itself works by."""

from __future__ import annotations

from isocenter.runtime.conformance.page import conformance_page

__all__ = ["conformance_page"]
