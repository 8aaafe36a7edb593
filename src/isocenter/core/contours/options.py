"""What a person can choose: value objects that cannot be built wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, cast

from isocenter.core.errors import ConfigurationError

FORMATS = ("overlay", "seg", "nifti", "nrrd", "stl", "json", "preview")
NESTINGS = ("depth", "union", "xor")
POSITIONS = ("top-left", "top-right", "bottom-left", "bottom-right")
DISCLAIMER = "FOR RESEARCH USE ONLY - NOT FOR CLINICAL USE"


class _Json:
    """Plain JSON in and out; an unknown key is an error that names the nearest valid one."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Builds from what `to_json` gives, or from a part of it.

        Raises:
            ConfigurationError: an unknown key, or a value that is not allowed.
        """
        known = [f.name for f in fields(cast(Any, cls))]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"valid: {', '.join(known)}"
                raise ConfigurationError(f"unknown key {key!r}", hint=hint)
        return cls(**{key: cls._revive(key, value) for key, value in values.items()})

    @classmethod
    def _revive(cls, key: str, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def to_json(self) -> dict[str, Any]:
        """As JSON values (tuples as lists)."""
        return {key: _plain(value) for key, value in asdict(cast(Any, self)).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}", hint=f"one of {', '.join(allowed)}")


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ConfigurationError(f"{name} is {value}; it must be at least {least}")


@dataclass(frozen=True)
class RoiChoice(_Json):
    """Which ROIs are drawn.

    Attributes:
        ignore: ROIs whose name contains one of these, in any case, are left out.
        include: when given, a name must match one of these regular expressions (search, any case).
        exclude: a name that matches one of these is left out.
        types: when given, RTROIInterpretedType must be one of these (PTV, ORGAN, …; any case).
    """

    ignore: tuple[str, ...] = ("skull",)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ignore", "include", "exclude", "types"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(v, str) for v in value):
                raise ConfigurationError(f"{name} must be a list of texts")
        for pattern in (*self.include, *self.exclude):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigurationError(
                    f"{pattern!r} is no regular expression: {error}"
                ) from error


@dataclass(frozen=True)
class BurnIn(_Json):
    """Text that is drawn into the pixels.

    Attributes:
        text: the disclaimer, one line.
        position: corner of the image.
        size: height of the letters in pixels; 0: a fortieth of the image's height, 10 at least.
    """

    text: str = DISCLAIMER
    position: str = "bottom-right"
    size: int = 0

    def __post_init__(self) -> None:
        if not self.text.strip() or not self.text.isprintable():
            raise ConfigurationError("the text to burn in must be one printable line")
        _one_of("position", self.position, POSITIONS)
        _at_least("size", self.size, 0)


@dataclass(frozen=True)
class PreviewOptions(_Json):
    """The preview output.

    Attributes:
        series_number, series_description: of the Secondary Capture series.
        image_format: of the pictures per slice.
        secondary_capture: whether the Secondary Capture series is made.
        slices: "contours" (those that have some) or "all".
        window_center, window_width: modality values; None: from the image, else its range.
    """

    series_number: int = 101
    series_description: str = "DEBUG: Contour Overlay Visualization"
    image_format: str = "png"
    secondary_capture: bool = True
    slices: str = "contours"
    window_center: float | None = None
    window_width: float | None = None

    def __post_init__(self) -> None:
        _one_of("image_format", self.image_format, ("png", "jpeg"))
        _one_of("slices", self.slices, ("contours", "all"))
        _at_least("series_number", self.series_number, 0)
        if self.window_width is not None:
            _at_least("window_width", self.window_width, 1e-6)


@dataclass(frozen=True)
class ContourOptions(_Json):
    """Everything that can be chosen about drawing structure sets.

    Attributes:
        formats: outputs to make, of `FORMATS`.
        choice: which ROIs.
        overlay_mode: "merged" (all ROIs in one overlay group) or "per-roi".
        nesting: how contours of one ROI in one plane combine, of `NESTINGS`.
        interpolate: fill slices between contour planes by shape interpolation.
        series_number, series_description: of the overlay series; ``{modality}`` in the description
            stands for the source's, so that series of one study can be told apart.
        overlay_type: R (region of interest) or G (graphics), PS3.3 C.9.2.
        study_id: overwrites StudyID in the overlay series; None keeps the source's.
        allow_other_frame_of_reference: draw although the frames of reference differ.
        require_structure_set: without a structure set to draw it is an error.
        burn_in: disclaimer drawn into the overlay series, or None.
        preview: choices of the preview output.
        disclaimer: text shown in pictures and reports.
        segmentation_series_number, segmentation_series_description: of the SEG series.
        nifti_compression: 1 (fast) to 3 (small) for .nii.gz masks, 0 for plain .nii.
    """

    formats: tuple[str, ...] = ("overlay", "json")
    choice: RoiChoice = field(default_factory=RoiChoice)
    overlay_mode: str = "merged"
    nesting: str = "depth"
    interpolate: bool = False
    series_number: int = 98
    series_description: str = "RESEARCH ONLY: Unapproved Treatment Plan {modality} w Mask"
    overlay_type: str = "R"
    study_id: str | None = None
    allow_other_frame_of_reference: bool = False
    require_structure_set: bool = False
    burn_in: BurnIn | None = None
    preview: PreviewOptions = field(default_factory=PreviewOptions)
    disclaimer: str = DISCLAIMER
    segmentation_series_number: int = 99
    segmentation_series_description: str = "RESEARCH USE ONLY: CONTOUR"
    nifti_compression: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.formats, str) or not self.formats:
            raise ConfigurationError("formats must be a list", hint=f"of {', '.join(FORMATS)}")
        for name in self.formats:
            _one_of("format", name, FORMATS)
        _one_of("overlay_mode", self.overlay_mode, ("merged", "per-roi"))
        _one_of("nesting", self.nesting, NESTINGS)
        _one_of("overlay_type", self.overlay_type, ("R", "G"))
        _at_least("series_number", self.series_number, 0)
        if self.nifti_compression not in range(4):
            raise ConfigurationError(
                f"nifti_compression is {self.nifti_compression!r}", hint="0, 1, 2 or 3"
            )
        if len(self.series_description) > 64:
            raise ConfigurationError("series_description is longer than 64 characters (VR LO)")
        if self.study_id is not None and len(self.study_id) > 16:
            raise ConfigurationError("study_id is longer than 16 characters (VR SH)")

    @classmethod
    def _revive(cls, key: str, value: Any) -> Any:
        parts: dict[str, type[_Json]] = {
            "choice": RoiChoice,
            "burn_in": BurnIn,
            "preview": PreviewOptions,
        }
        if key in parts and isinstance(value, Mapping):
            return parts[key].from_json(value)
        return super()._revive(key, value)
