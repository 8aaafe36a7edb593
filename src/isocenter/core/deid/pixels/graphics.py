"""Graphic annotations of presentation states (Clean Graphics Option, PS3.15 E.3.3).

Text that somebody typed into an annotation is cleaned like any other text. Shapes stay, as they
say where something is; a freehand line of many points can be handwriting and goes.
"""

from __future__ import annotations

from isocenter.core.deid.dataset.elements import Item, ItemView
from isocenter.core.deid.engine import ItemDecision, Override
from isocenter.core.deid.standard.actions import Action

_RULE = "113103 graphics"
_TEXT_OBJECTS = 0x00700008
_GRAPHIC_OBJECTS = 0x00700009
_COMPOUND_GRAPHICS = 0x00700209
_GRAPHIC_DATA = 0x00700022
_GRAPHIC_TYPE = 0x00700023
_COMPOUND_GRAPHIC_TYPE = 0x00700294
#: Unformatted Text Value, Graphic Layer, Graphic Layer Description, Graphic Group Label and
#: Description, Tick Label: what a person may have typed.
_TYPED = (0x00700006, 0x00700068, 0x00700207, 0x00700208, 0x00700289)
_KEPT_SHAPES = frozenset(("POINT", "CIRCLE", "ELLIPSE"))
#: More points than shapes have that somebody clicked together.
_FREEHAND_POINTS = 32
_POINT_BYTES = 8  # two FL


class GraphicsHandler:
    """Decides the items of GraphicAnnotationSequence, and of what is in it."""

    def item(self, path: str, item: Item) -> ItemDecision:
        """See :class:`~isocenter.core.deid.engine.Handler`."""
        tags = frozenset(item.tags())
        if _GRAPHIC_DATA in tags and _is_freehand(item):
            return ItemDecision(drop=True)
        overrides = {tag: Override(Action.CLEAN, rule=_RULE) for tag in _TYPED if tag in tags}
        for tag in (_TEXT_OBJECTS, _GRAPHIC_OBJECTS, _COMPOUND_GRAPHICS):
            if tag in tags:
                overrides[tag] = Override(Action.RECURSE, rule=_RULE)
        return ItemDecision(overrides=overrides)


def _is_freehand(item: Item) -> bool:
    """A line of many points, or data that nobody can count."""
    shape = (item.text(_GRAPHIC_TYPE) or item.text(_COMPOUND_GRAPHIC_TYPE) or "").strip().upper()
    if shape in _KEPT_SHAPES:
        return False
    data = item.raw(_GRAPHIC_DATA) if isinstance(item, ItemView) else None
    return data is None or len(data) > _POINT_BYTES * _FREEHAND_POINTS
