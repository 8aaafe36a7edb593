"""What is asked of a picture: small values that cannot be invalid, and travel as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from isocenter.core.errors import ConfigurationError

PNG, JPEG, GIF = "image/png", "image/jpeg", "image/gif"
#: Media types that pictures can have, the default (PS3.18 8.7.4) first.
MEDIA_TYPES = (JPEG, PNG, GIF)
#: VOI LUT Function (PS3.3 C.11.2.1.2) by the name that a query gives it (PS3.18 8.3.5.1.4).
FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
#: What can be written into a picture (PS3.18 8.3.5.1.1).
ANNOTATIONS = ("patient", "technique")
DEFAULT_QUALITY = 90
MAX_SIDE = 16384  # pixels of a picture


@dataclass(frozen=True, slots=True)
class Window:
    """A window of values.

    Attributes:
        center, width: in units after the modality LUT, such as HU.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
    """

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS.values():
            raise ConfigurationError("the function is none of LINEAR, LINEAR_EXACT, SIGMOID")
        if not (math.isfinite(self.center) and math.isfinite(self.width)):
            raise ConfigurationError("center and width of a window are finite numbers")
        if self.width < 1 and self.function == "LINEAR":
            raise ConfigurationError("the width of a linear window is at least 1")
        if self.width <= 0:
            raise ConfigurationError("the width of a window is greater than 0")


@dataclass(frozen=True, slots=True)
class Viewport:
    """Which part of the image is shown, and how large the picture may be (PS3.18 8.3.5.1.3).

    Attributes:
        width, height: of the picture at most, in pixels; one side has this length, the other
            follows from the proportions of the region. 0: not bounded in this direction.
        x, y: upper left corner of the region, in pixels of the image.
        region_width, region_height: of the region; negative mirrors it; None: to the edge.
    """

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    region_width: float | None = None
    region_height: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.region_width or 0.0, self.region_height or 0.0)
        if not all(map(math.isfinite, numbers)):
            raise ConfigurationError("a viewport has finite numbers")
        if not (0 <= self.width <= MAX_SIDE and 0 <= self.height <= MAX_SIDE):
            raise ConfigurationError(f"a picture has 1 to {MAX_SIDE} pixels on a side")
        if min(self.x, self.y) < 0 or 0.0 in (self.region_width, self.region_height):
            raise ConfigurationError("the region lies inside the image and is not empty")


@dataclass(frozen=True, slots=True)
class Order:
    """One picture, or one animation of several frames.

    Attributes:
        frames: indices from 0; empty: all for an animation, else the representative one.
        window: in place of the image's own; for grey images.
        viewport: None: the whole image in its own size.
        region: of the image as fractions 0 to 1: left, top, right, bottom (PS3.18 9.1.2.3.4).
        quality: of a JPEG, 1 to 100.
        annotation: what is written into the picture.
        true_shape: pixels that are no squares are stretched (thumbnails).
    """

    media_type: str = JPEG
    frames: tuple[int, ...] = ()
    window: Window | None = None
    viewport: Viewport | None = None
    region: tuple[float, float, float, float] | None = None
    quality: int = DEFAULT_QUALITY
    annotation: tuple[str, ...] = ()
    true_shape: bool = False

    def __post_init__(self) -> None:
        if self.media_type not in MEDIA_TYPES:
            raise ConfigurationError(f"pictures are one of {', '.join(MEDIA_TYPES)}")
        if not 1 <= self.quality <= 100:
            raise ConfigurationError("quality is a whole number from 1 to 100")
        if set(self.annotation) - set(ANNOTATIONS):
            raise ConfigurationError(f"annotation is one or both of {', '.join(ANNOTATIONS)}")
        if self.region is not None:
            left, top, right, bottom = self.region
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ConfigurationError("a region is left,top,right,bottom, each from 0 to 1")

    def as_dict(self) -> dict[str, Any]:
        """For a child process."""
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Order:
        """Back from :meth:`as_dict`, through JSON."""
        window, viewport, region = (fields[name] for name in ("window", "viewport", "region"))
        return cls(
            media_type=fields["media_type"],
            frames=tuple(fields["frames"]),
            window=Window(**window) if window else None,
            viewport=Viewport(**viewport) if viewport else None,
            region=tuple(region) if region else None,
            quality=fields["quality"],
            annotation=tuple(fields["annotation"]),
            true_shape=fields["true_shape"],
        )
