"""Burned-in text: decides what an image needs, finds the text, blanks it, writes the image."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset

from isocenter.core.deid.pixels import overlays
from isocenter.core.deid.pixels.blanking import decoded_colour_space, write_blanked
from isocenter.core.deid.pixels.frames import Frame, FrameSource, Novelty
from isocenter.core.deid.pixels.inspection import Facts, Need, NeedKind, needs
from isocenter.core.deid.pixels.ocr import TextDetector, available, default_detector
from isocenter.core.deid.pixels.rectangles import Rectangle, merged
from isocenter.core.deid.pixels.rendition import pictures_of
from isocenter.core.deid.pixels.templates import Template, TemplateSet
from isocenter.core.deid.pixels.views import find_text
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from isocenter.core.dicom.pixels import LOSSY, NATIVE
from isocenter.core.dicom.reading import read_until
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.dicom.transcode import transcode
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import DicomError

if TYPE_CHECKING:
    pass

#: Grey levels of 255 that compression with loss changes without changing what is shown.
_BURNED_IN = (
    "Burned In Annotation is YES and the policy does not clean pixels (templates or ocr do)"
)
_LOSSY_TOLERANCE = 6


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle that was blanked, on every frame.

    Attributes:
        frame: from 0, where it was found first; of an overlay: the plane's frame.
        source: ``text``, ``user``, ``template NAME``, ``overlay GGGG``.
    """

    frame: int
    x: int
    y: int
    w: int
    h: int
    source: str

    @property
    def rectangle(self) -> Rectangle:
        """Where it is."""
        return Rectangle(self.x, self.y, self.w, self.h)


@dataclass(frozen=True, slots=True)
class PixelResult:
    """What was done to an image.

    Attributes:
        regions: what was blanked.
        refused: why the object must not leave; nothing was written then.
        need: what the object needed, and why.
        inspected: a text detector looked at every frame.
        engine: name and version of the detector, where one was used.
        notes: what else was done: overlays or icons removed, unused bits cleared.
    """

    regions: list[Region] = field(default_factory=list)
    refused: str | None = None
    need: Need = field(default_factory=lambda: Need(NeedKind.NONE, ""))
    inspected: bool = False
    engine: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Order:
    """What :func:`clean` was asked for."""

    policy: Policy
    user_rectangles: tuple[Rectangle, ...]
    facts: Facts
    matched: tuple[Template, ...]
    need: Need
    bounds: Bounds

    @property
    def looks(self) -> bool:
        """Whether text is to be looked for."""
        kinds = (NeedKind.OCR, NeedKind.TEMPLATE)
        return self.policy.pixels == "ocr" and self.need.kind in kinds


def clean(
    path_in: Path,
    path_out: Path,
    policy: Policy,
    user_rectangles: Sequence[Rectangle] = (),
    *,
    facts: Facts | None = None,
    detector: TextDetector | None = None,
    templates: TemplateSet | None = None,
    defaces: bool = False,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> PixelResult:
    """Blank burned-in text of one object, or say why it must not leave.

    All text that is found is blanked, whoever it names: what a box says is not read. Everything
    that an object cannot be cleaned of refuses it: pixels that cannot be decoded, no detector
    where the policy wants one, no template where it wants those.

    The codecs run in this process: call it isolated (:mod:`isocenter.core.isolation`).

    Args:
        path_in: the object, its header done.
        path_out: written whole or not at all; may be `path_in`.
        policy: ``pixels``: off (nothing is looked for; an object that says itself that text is
            burned in is refused), templates, ocr (templates too).
        user_rectangles: drawn by somebody; blanked whatever the policy says.
        facts: of the original, where its header was changed since.
        detector: None takes this machine's engine.
        templates: None takes the shipped ones.
        defaces: the caller has the series' face removed
            (:func:`~isocenter.core.deid.pixels.faces.deface_series`); without that a policy
            that wants heads defaced refuses them here.
        bounds: what is decoded.

    Raises:
        DicomError: the file cannot be read at all.
        OSError: a file cannot be read or written.
    """
    header = read_until(path_in, PIXEL_TAGS, bounds=bounds)
    order = _order(policy, facts or Facts.of(header), user_rectangles, templates, bounds)
    refused = _face_refusal(policy, order.facts, defaces) or _refusal(order, detector)
    if refused is not None:
        return PixelResult(refused=refused, need=order.need)
    try:
        return _carry_out(order, path_in, path_out, header, detector)
    except DicomError as error:
        if order.need.kind is NeedKind.NONE and not user_rectangles:
            raise
        return PixelResult(refused=f"its pixels cannot be cleaned: {error}", need=order.need)


def _order(
    policy: Policy,
    facts: Facts,
    user_rectangles: Sequence[Rectangle],
    templates: TemplateSet | None,
    bounds: Bounds,
) -> _Order:
    matched = _matching(policy, facts, templates)
    need = needs(facts, has_template=bool(matched))
    return _Order(policy, tuple(user_rectangles), facts, tuple(matched), need, bounds)


def _matching(policy: Policy, facts: Facts, templates: TemplateSet | None) -> list[Template]:
    if policy.pixels == "off" or not facts.pixel_keyword:
        return []
    return (TemplateSet.shipped() if templates is None else templates).match(facts)


def _face_refusal(policy: Policy, facts: Facts, defaces: bool) -> str | None:
    if policy.faces == "ignore" or not facts.names_head:
        return None
    if policy.faces == "refuse":
        return "images of a head, from which a face can be drawn"
    return None if defaces else "images of a head whose face was not removed"


_BURNED_IN = (
    "Burned In Annotation is YES and the policy does not clean pixels (templates or ocr do)"
)


def _refusal(order: _Order, detector: TextDetector | None) -> str | None:
    """Why the object must not leave, as far as its header tells."""
    need, policy = order.need, order.policy
    if policy.pixels == "off":
        if order.facts.burned_in_annotation == "YES" and not order.user_rectangles:
            return _BURNED_IN
        return None
    if need.kind is NeedKind.REFUSE:
        return need.why
    if policy.pixels == "templates":
        if need.kind is NeedKind.NONE or order.user_rectangles:
            return None
        if not order.matched:
            return f"{need.why}, and no template knows this device and matrix"
        if not any(template.names_matrix for template in order.matched):
            return f"{need.why}, and its template does not say for which matrix it is"
        return None
    if order.looks and detector is None:
        reason = available()
        return None if reason is None else f"{need.why}, and text cannot be found: {reason}"
    return None


def _carry_out(
    order: _Order,
    path_in: Path,
    path_out: Path,
    header: Dataset,
    detector: TextDetector | None,
) -> PixelResult:
    result = PixelResult(need=order.need)
    has_groups = bool(overlays.overlay_groups(header))
    has_pixel_work = order.looks or order.matched or order.user_rectangles
    if not (has_pixel_work or order.facts.overlay_in_pixels):
        if has_groups and _overlay_work(order):
            return _clean_header_only(order, path_in, path_out, detector)
        if path_in != path_out:
            shutil.copyfile(path_in, path_out)
        return result
    native = path_out.with_name(f"{path_out.name}.native")
    try:
        return _clean_pixels(order, _little_endian(path_in, native, order), path_out, detector)
    finally:
        native.unlink(missing_ok=True)


def _little_endian(path: Path, native: Path, order: _Order) -> Path:
    """Explicit little endian, whatever it was; encapsulated files are that already."""
    syntax = order.facts.transfer_syntax_uid
    if syntax not in NATIVE or syntax == EXPLICIT_LITTLE:
        return path
    transcode(path, native, EXPLICIT_LITTLE, bounds=order.bounds)
    return native


def _overlay_work(order: _Order) -> bool:
    return order.policy.pixels != "off" or Option.CLEAN_GRAPHICS in order.policy.options


def _clean_pixels(
    order: _Order, path_in: Path, path_out: Path, detector: TextDetector | None
) -> PixelResult:
    with FrameSource(path_in, order.bounds) as source:
        engine = (detector or default_detector()) if order.looks else None
        rows, columns = source.layout.rows, source.layout.columns
        regions = [
            Region(0, r.x, r.y, r.w, r.h, name)
            for name, rectangle in _given(order)
            if (r := rectangle.inside(columns, rows)) is not None
        ]
        if engine is not None:
            regions += _text_regions(source, engine, [region.rectangle for region in regions])
        result = PixelResult(
            regions, None, order.need, engine is not None, engine.name if engine else ""
        )
        notes: list[str] = []
        clears = order.facts.overlay_in_pixels
        if clears:
            notes.append("bits of pixels that are not stored values cleared")

        def change(dataset: Dataset) -> None:
            found, said = _clean_around(order, dataset, engine, bool(result.regions))
            result.regions.extend(found)
            notes.extend(said)
            if engine is not None:
                dataset.BurnedInAnnotation = "NO"

        rectangles = [region.rectangle for region in result.regions]
        write_blanked(source, path_out, rectangles, change=change, clear_unused_bits=clears)
        return replace(result, notes=tuple(notes))


def _given(order: _Order) -> list[tuple[str, Rectangle]]:
    """Rectangles that are known without looking, and where they are from."""
    given = [("user", rectangle) for rectangle in order.user_rectangles]
    for template in order.matched:
        given += [(f"template {template.name}", one) for one in template.rectangles]
    return list({rectangle: (name, rectangle) for name, rectangle in reversed(given)}.values())


def _text_regions(
    source: FrameSource, engine: TextDetector, given: list[Rectangle]
) -> list[Region]:
    """Boxes of text on any frame. Frames are looked at where they differ from those before."""
    layout = source.layout
    tolerance = _LOSSY_TOLERANCE if source.syntax in LOSSY else 0
    novelty = Novelty(tolerance)
    known = np.zeros((layout.rows, layout.columns), np.bool_)
    for rectangle in given:
        known[rectangle.slices] = True
    found: list[Region] = []
    for index, frame in enumerate(source):
        boxes: list[Rectangle] = []
        for area in novelty.areas(frame, known):
            boxes += _boxes_in(frame, area, source, engine)
        for box in merged(boxes):
            if known[box.slices].all():
                continue
            known[box.slices] = True
            found.append(Region(index, box.x, box.y, box.w, box.h, "text"))
    return found


def _boxes_in(
    frame: Frame, area: Rectangle, source: FrameSource, engine: TextDetector
) -> list[Rectangle]:
    part = np.ascontiguousarray(frame[area.slices])
    space = decoded_colour_space(source.layout)
    if source.layout.bits_allocated == 1:
        part = np.where(part, 255, 0).astype(np.uint8)
    boxes: list[Rectangle] = []
    for picture in pictures_of(part, space, source.dataset):
        boxes += [box.moved(area.x, area.y) for box in find_text(picture, engine)]
    return boxes


def _clean_around(
    order: _Order, dataset: Dataset, engine: TextDetector | None, was_blanked: bool
) -> tuple[list[Region], list[str]]:
    """Overlays and icons of an image."""
    regions: list[Region] = []
    notes: list[str] = []
    groups = overlays.overlay_groups(dataset)
    if groups and _overlay_work(order):
        keeps = Option.CLEAN_GRAPHICS in order.policy.options and engine is not None
        if keeps and engine is not None:
            for group, frame, box in overlays.clean_overlays(dataset, engine):
                name = f"overlay {group:04X}"
                regions.append(Region(frame, box.x, box.y, box.w, box.h, name))
        else:
            overlays.remove_overlays(dataset)
            notes.append("overlays removed")
    elif order.facts.overlay_in_pixels:
        overlays.remove_overlays(dataset, overlays.planes_without_data(dataset))
    if (was_blanked or engine is not None) and overlays.remove_icons(dataset):
        notes.append("icons removed")
    return regions, notes


def _clean_header_only(
    order: _Order, path_in: Path, path_out: Path, detector: TextDetector | None
) -> PixelResult:
    """Overlays of an object whose pixels are not touched; their bytes are copied."""
    dataset = read_until(path_in, frozenset(), bounds=order.bounds)
    engine: TextDetector | None = detector
    if engine is None and order.policy.pixels == "ocr" and available() is None:
        engine = default_detector()
    regions, notes = _clean_around(order, dataset, engine, False)
    write_part10(dataset, path_out)
    return PixelResult(
        regions, None, order.need, False, engine.name if engine else "", tuple(notes)
    )
