"""The overlay series: each source image again, pixels untouched, with the masks as overlays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from isocenter.core.contours.burn_in import burn_text
from isocenter.core.contours.masks import Mask, RoiMask
from isocenter.core.contours.modality_values import ModalityImage, modality_image
from isocenter.core.contours.outputs.writer import Output, Scene
from isocenter.core.contours.overlay import (
    GROUPS,
    OverlayPlane,
    add_overlay,
    free_groups,
    joined_names,
    shortened,
    statistics_of,
)
from isocenter.core.dicom.derived import new_instance_from, source_instance
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import ContourError


@dataclass(frozen=True, eq=False)
class _Layer:
    """What one overlay group shows through the whole series."""

    group: int
    masks: tuple[RoiMask, ...]

    def on(self, index: int, shape: tuple[int, int]) -> Mask:
        plane = np.zeros(shape, dtype=np.bool_)
        for mask in self.masks:
            mask.paint(plane, index)
        return plane

    def labels(self) -> tuple[str, str]:
        if len(self.masks) == 1:
            roi = self.masks[0].roi
            return roi.name, roi.description or roi.name
        return joined_names([mask.roi.name for mask in self.masks])

    def algorithm(self) -> str:
        found = {mask.roi.generation_algorithm for mask in self.masks}
        return found.pop() if len(found) == 1 else ""


class OverlayWriter:
    """Writes one overlay series, or several where there are more ROIs than overlay groups.

    Same SOP class, study, frame of reference and pixel bits; images without contours included.
    The overlays take groups of 6000 to 601E that no image of the series uses.
    """

    format = "overlay"
    version = "1"

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes into `out_dir`.

        Raises:
            ContourError: all sixteen overlay groups are taken, or there is nothing to draw.
            DicomError: an image cannot be read, or its pixels cannot take the text.
        """
        chunks = list(_layers(scene))
        outputs: list[Output] = []
        for number, layers in enumerate(chunks):
            folder = out_dir if len(chunks) == 1 else out_dir / str(number + 1)
            folder.mkdir(parents=True, exist_ok=True)
            series = _series(scene, number, len(chunks))
            role = _role(layers)
            for index, path in enumerate(scene.series.paths):
                target = folder / f"{index + 1:04d}.dcm"
                dataset = _image(scene, layers, index, path, series)
                write_part10(dataset, target)
                outputs.append(_output(dataset, role, target))
                done = number * len(scene.series) + index + 1
                scene.on_progress(done / (len(chunks) * len(scene.series)), "overlay")
        return outputs


def _layers(scene: Scene) -> Iterator[tuple[_Layer, ...]]:
    masks = [mask for mask in scene.masks if not mask.is_empty]
    groups = free_groups(scene.series.headers)
    if not groups:
        raise ContourError(f"all {len(GROUPS)} overlay groups of the images are taken")
    if scene.options.overlay_mode == "merged":
        yield (_Layer(groups[0], tuple(masks or scene.masks)),)
        return
    shown = masks or list(scene.masks)
    for start in range(0, len(shown), len(groups)):
        part = shown[start : start + len(groups)]
        yield tuple(_Layer(group, (mask,)) for group, mask in zip(groups, part, strict=False))


def _series(scene: Scene, number: int, count: int) -> tuple[str, str]:
    """UID and description of one of the `count` series."""
    description = scene.options.series_description.replace("{modality}", scene.pair.series.modality)
    if count > 1:
        part = f" ({number + 1}/{count})"
        description = shortened(description, 64 - len(part)) + part
    return scene.uid("overlay series", str(number)), description


def _image(
    scene: Scene, layers: Sequence[_Layer], index: int, path: Path, series: tuple[str, str]
) -> Dataset:
    source = read_dataset(path)
    series_uid, description = series
    shape = (scene.stack.rows, scene.stack.columns)
    planes = [(layer, layer.on(index, shape)) for layer in layers]
    values = _modality_image(source, planes) if scene.options.overlay_type == "R" else None
    dataset = new_instance_from(
        source,
        sop_uid=scene.uid("overlay", series_uid, source_instance(source).sop_instance_uid),
        series_uid=series_uid,
        series_number=scene.options.series_number,
        series_description=description,
        made_at=scene.made_at,
        derivation="RT structure set contours added as overlay",
    )
    if scene.options.study_id is not None:
        dataset.StudyID = scene.options.study_id
    for layer, mask in planes:
        label, description = layer.labels()
        plane = OverlayPlane(
            group=layer.group,
            mask=mask,
            label=label,
            description=description,
            overlay_type=scene.options.overlay_type,
            generation_algorithm=layer.algorithm(),
            statistics=statistics_of(mask, values),
        )
        add_overlay(dataset, plane)
    if scene.options.burn_in is not None:
        burn_text(dataset, scene.options.burn_in)
    return dataset


def _modality_image(
    dataset: Dataset, planes: Sequence[tuple[_Layer, Mask]]
) -> ModalityImage | None:
    """The image's values, read only where a mask needs them."""
    return modality_image(dataset) if any(mask.any() for _, mask in planes) else None


def _role(layers: Sequence[_Layer]) -> str:
    names = [mask.roi.name for layer in layers for mask in layer.masks]
    return shortened(f"overlay of {', '.join(names)}", 64)


def _output(dataset: Dataset, role: str, path: Path) -> Output:
    return Output(
        kind="overlay",
        role=role,
        path=path,
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
    )


WRITER = OverlayWriter()
