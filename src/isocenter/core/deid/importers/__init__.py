"""Other tools' de-identification rules, read as rules of Isocenter.

What maps is mapped; what maps with another effect is listed as changed, and what does not map as
unmapped, each with its line and the reason. Nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from isocenter.core.deid.importers.ctp import import_ctp
from isocenter.core.deid.importers.imported import Imported, Unmapped
from isocenter.core.deid.importers.karnak import import_karnak
from isocenter.core.deid.importers.netrt import import_netrt
from isocenter.core.deid.importers.recipe import import_recipe

__all__ = [
    "IMPORTERS",
    "Imported",
    "Unmapped",
    "import_ctp",
    "import_karnak",
    "import_netrt",
    "import_recipe",
]

#: By the name that the command line has for them.
IMPORTERS: Mapping[str, Callable[[str], Imported]] = MappingProxyType(
    {
        "ctp": import_ctp,
        "karnak": import_karnak,
        "netrt": import_netrt,
        "recipe": import_recipe,
    }
)
