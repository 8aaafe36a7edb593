"""DICOM JSON Model (PS3.18 annex F), Native DICOM Model (PS3.19 A.1) and places of bulk data."""

from isocenter.core.dicom.json_model.document import MARK, Document, dataset_json, minimal_json
from isocenter.core.dicom.json_model.series_file import FORMAT, Place, SeriesFile, SeriesWriter

__all__ = [
    "FORMAT",
    "MARK",
    "Document",
    "Place",
    "SeriesFile",
    "SeriesWriter",
    "dataset_json",
    "minimal_json",
]
