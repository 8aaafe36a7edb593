"""What a query asks of a picture, and a list of frames (PS3.18 8.3.5, 9.1.2, 10.4.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from isocenter.apps.dicomweb.errors import BadRequest
from isocenter.core.errors import ConfigurationError, NotFound
from isocenter.core.rendering.order import ANNOTATIONS, DEFAULT_QUALITY, FUNCTIONS, Viewport, Window

_NUMBER = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:[eE][+-]?\d{1,2})?")
_WHOLE = re.compile(r"\d{1,9}")
_FRAMES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_PROFILES = frozenset(("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"))
_MOST_FRAMES = 100_000  # of one request
_THUMBNAIL = 192  # pixels of the longest side where nobody says

Query = Mapping[str, str]


def frame_indices(text: str) -> tuple[int, ...]:
    """Frame numbers ``1,3,5-8`` as indices from 0, in the order asked for (PS3.18 10.1),
    each once: what is sent is never more than the image has.

    Raises:
        BadRequest: it is no such list.
    """
    found: list[int] = []
    for part in text.split(",") if len(text) <= 1 << 16 else ():
        match = _FRAMES.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if not 1 <= first <= last or last - first >= _MOST_FRAMES:
            found = []
            break
        found.extend(range(first - 1, last))
        if len(found) > _MOST_FRAMES:
            raise BadRequest(f"more than {_MOST_FRAMES} frames are asked for at once")
    if not found:
        raise BadRequest(
            "the frames cannot be read", hint="numbers from 1, as in frames/1 or frames/1,4,7-9"
        )
    if len(set(found)) < len(found):
        raise BadRequest("a frame is asked for twice", hint="name each frame once, as in 1,4,7-9")
    return tuple(found)


def check_frames(indices: tuple[int, ...], count: int) -> None:
    """
    Raises:
        NotFound: the image has not so many frames.
    """
    if max(indices, default=0) >= count:
        raise NotFound(f"there is no frame {max(indices) + 1}: the image has {count}")


def rendered_options(query: Query) -> dict[str, Any]:
    """Fields of an :class:`Order` from the parameters of a rendered resource.

    Raises:
        BadRequest: a parameter cannot be read; says which.
    """
    if query.get("iccprofile", "no").strip().lower() not in _PROFILES:
        raise BadRequest(f"iccprofile is one of {', '.join(sorted(_PROFILES))}")
    return {
        "window": _window(query.get("window", "")),
        "viewport": _viewport(query.get("viewport", "")),
        "quality": _quality(query.get("quality", ""), "quality"),
        "annotation": _annotation(query.get("annotation", "")),
    }


def thumbnail_options(query: Query) -> dict[str, Any]:
    """The same for a thumbnail, which has a viewport and nothing else (PS3.18 10.4.1.1.4).

    Raises:
        BadRequest: the viewport cannot be read.
    """
    parts = query.get("viewport", "").strip()
    if parts.count(",") > 1:
        raise BadRequest("the viewport of a thumbnail has a width and a height", hint="192,192")
    return {
        "viewport": _viewport(parts) or Viewport(_THUMBNAIL, _THUMBNAIL),
        "true_shape": True,
    }


def uri_options(query: Query) -> dict[str, Any]:
    """Fields of an :class:`Order` from the parameters of WADO-URI (PS3.18 9.1.2).

    Raises:
        BadRequest: a parameter cannot be read, or is of no use here.
    """
    if "presentationUID" in query:
        raise BadRequest("presentation states are not drawn here", hint="leave presentationUID out")
    center, width = query.get("windowCenter", ""), query.get("windowWidth", "")
    if bool(center) != bool(width):
        raise BadRequest("windowCenter and windowWidth belong together")
    rows, columns = (_side(query.get(name, ""), name) for name in ("rows", "columns"))
    region = query.get("region", "")
    frame = query.get("frameNumber", "")
    options: dict[str, Any] = {
        "window": _window(f"{center},{width}") if center else None,
        "viewport": Viewport(columns, rows) if rows or columns else None,
        "region": _numbers(region, 4, "region") if region else None,
        "quality": _quality(query.get("imageQuality", ""), "imageQuality"),
        "annotation": _annotation(query.get("annotation", "")),
    }
    if frame:
        options["frames"] = frame_indices(frame)[:1]
    return options


def _window(text: str) -> Window | None:
    if not text.strip():
        return None
    center, width, *rest = [*text.split(","), ""][:4]
    name = rest[0].strip().lower() if rest else ""
    function = FUNCTIONS.get(name.replace("_", "-") or "linear")
    if text.count(",") not in (1, 2) or function is None:
        raise BadRequest(
            "the window cannot be read",
            hint="center,width or center,width,linear|linear-exact|sigmoid",
        )
    numbers = _numbers(f"{center},{width}", 2, "window")
    return _valid(lambda: Window(numbers[0], numbers[1], function))


def _viewport(text: str) -> Viewport | None:
    if not text.strip():
        return None
    parts = [part.strip() for part in text.split(",")]
    hint = "width,height or width,height,x,y,region width,region height"
    if len(parts) not in (2, 6):
        raise BadRequest("the viewport cannot be read", hint=hint)
    width, height = (_side(part, "viewport") for part in parts[:2])
    if not (width and height):
        raise BadRequest("the viewport has no width or no height", hint=hint)
    x, y, across, down = (
        _numbers(part, 1, "viewport")[0] if part else None for part in [*parts[2:], *[""] * 4][:4]
    )
    return _valid(lambda: Viewport(width, height, x or 0.0, y or 0.0, across, down))


def _side(text: str, name: str) -> int:
    if not text.strip():
        return 0
    if not _WHOLE.fullmatch(text.strip()) or int(text) < 1:
        raise BadRequest(f"{name} needs whole numbers of pixels, at least 1")
    return int(text)


def _numbers(text: str, count: int, name: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != count or not all(map(_NUMBER.fullmatch, parts)):
        raise BadRequest(f"{name} has to have {count} numbers, with commas between them")
    return tuple(map(float, parts))


def _quality(text: str, name: str) -> int:
    if not text.strip():
        return DEFAULT_QUALITY
    if not _WHOLE.fullmatch(text.strip()) or not 1 <= int(text) <= 100:
        raise BadRequest(f"{name} is a whole number from 1 to 100")
    return int(text)


def _annotation(text: str) -> tuple[str, ...]:
    parts = [part.strip().lower() for part in text.split(",") if part.strip()]
    if set(parts) - set(ANNOTATIONS):
        raise BadRequest(f"annotation is one or both of {', '.join(ANNOTATIONS)}")
    return tuple(name for name in ANNOTATIONS if name in parts)


def _valid(make: Any) -> Any:
    try:
        return make()
    except ConfigurationError as error:
        raise BadRequest(str(error)) from None
