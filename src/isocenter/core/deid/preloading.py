"""What every process of the pool needs, loaded once where they are forked from.

Importing this module takes its time and some memory: do it in the fork server only
(:mod:`isocenter.core.deid.pool`).
"""

from __future__ import annotations

from isocenter.core.deid import workers
from isocenter.core.deid.standard import iods
from isocenter.core.deid.standard.keep_list import keep_list
from isocenter.core.deid.standard.table import Table
from isocenter.core.deid.text.lexicon import Lexicon

__all__ = ["workers"]

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

Table.load()
Lexicon.load()
keep_list()
iods.attribute_type(CT_IMAGE_STORAGE, (0x00100010,))
iods.attribute_type(CT_IMAGE_STORAGE, (0x00081140, 0x00081150))
