"""Metadata of what is stored: the DICOM JSON model without bulk data (PS3.18 annex F), a document
per series that is made once; and the bulk data that it points to.

``metadata/<study>/<series>.meta`` is made when a study has come in, or when somebody asks before.
Each document carries a stamp of the rows it was made of and is not served when they have changed.
"""

from isocenter.apps.archive.metadata.answers import Metadata, metadata
from isocenter.apps.archive.metadata.attributes import further_attributes
from isocenter.apps.archive.metadata.bulk import BulkData, BulkPart, bulk_data

__all__ = ["BulkData", "BulkPart", "Metadata", "bulk_data", "further_attributes", "metadata"]
