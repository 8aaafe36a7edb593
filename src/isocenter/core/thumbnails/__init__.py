"""Small pictures of images, for lists: never for diagnosis."""

from __future__ import annotations

from isocenter.core.thumbnails.picture import SIZE, Rendered, render

__all__ = ["SIZE", "Rendered", "render"]
