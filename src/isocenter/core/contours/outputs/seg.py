"""One DICOM Segmentation per pair: BINARY, a segment per ROI (PS3.3 A.51).

highdicom makes the segment descriptions and all that is said once per object; it would want the
whole of every mask in memory, so the frames (their functional groups and bits) are made here, one
at a time, straight into the file.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code as DicomCode

from isocenter import __version__
from isocenter.core.contours.masks import RoiMask
from isocenter.core.contours.outputs.coding import segment_code
from isocenter.core.contours.outputs.new_object import (
    MANUFACTURER,
    long_string,
    set_lossy,
    study_object,
    write_instance,
)
from isocenter.core.contours.outputs.seg_frames import Frame, frame_item, packed_frames
from isocenter.core.contours.outputs.writer import Output, Scene
from isocenter.core.contours.structure_set import Code, Roi
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.dicom.uids import derive_uid

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
SOURCE_DOCUMENT = Code("121335", "DCM", "Source Document")
CONTENT_LABEL = "RT_CONTOURS"
#: What highdicom says of the stand-in image or of the moment; made anew or left out.
_OF_THE_STAND_IN = {"PixelData", "SourceImageSequence", "ContributingEquipmentSequence"}
#: Of the object that highdicom describes; replaced by the scene's own values.
_PLACEHOLDER_UID = "2.25.1"


class SegWriter:
    """``seg.dcm``: every ROI that has a voxel, on the geometry of the image series.

    Frames without a voxel are left out. Segments may overlap. Colours are the structure set's,
    codes those of `coding`, labels and descriptions the ROI's name.
    """

    format = "seg"
    version = "1"

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes the object, or nothing when no ROI has a voxel.

        Raises:
            ContourError: the frames do not fit into one instance.
        """
        masks = [mask for mask in scene.masks if not mask.is_empty]
        if not masks:
            return []
        frames = [
            Frame(segment, index, mask)
            for segment, mask in enumerate(masks, start=1)
            for index in mask.slices
        ]
        target = _object(scene, masks)
        target.NumberOfFrames = len(frames)
        target.PerFrameFunctionalGroupsSequence = DicomSequence(
            frame_item(frame, rank, scene.series)
            for frame, rank in zip(frames, _ranks(frames), strict=True)
        )
        path = out_dir / "seg.dcm"
        bits = len(frames) * scene.stack.rows * scene.stack.columns
        write_instance(target, path, _pixels(scene, frames), (bits + 7) // 8)
        return [
            Output(
                kind="seg",
                role=f"Segmentation of {len(masks)} ROIs",
                path=path,
                sop_uid=str(target.SOPInstanceUID),
                series_uid=str(target.SeriesInstanceUID),
                sop_class_uid=SEGMENTATION_STORAGE,
            )
        ]


def _pixels(scene: Scene, frames: Sequence[Frame]) -> Iterator[bytes]:
    done = 0
    for piece, count in packed_frames(frames, scene.stack.rows, scene.stack.columns):
        yield piece
        done += count
        scene.on_progress(done / len(frames), "segmentation")


def _ranks(frames: Sequence[Frame]) -> list[int]:
    """Index of each frame's place among the places that occur, from 1 (PS3.3 C.7.6.17)."""
    places = {index: rank for rank, index in enumerate(sorted({f.index for f in frames}), start=1)}
    return [places[frame.index] for frame in frames]


def _object(scene: Scene, masks: Sequence[RoiMask]) -> Dataset:
    """The data set without frames."""
    source = scene.series.headers[0]
    label = scene.pair.structure_set.label
    target = _template(scene, masks)
    study = study_object(
        scene,
        source,
        kind="seg",
        sop_uid=scene.uid("seg", "instance"),
        series_number=scene.options.segmentation_series_number,
        series_description=scene.options.segmentation_series_description.replace("{}", label),
        texts=[label, *(text for m in masks for text in (m.roi.name, m.roi.description))],
    )
    if "SpecificCharacterSet" not in study:
        del target.SpecificCharacterSet
    target.update(study)
    target.FrameOfReferenceUID = scene.series.frame_of_reference_uid
    target.PositionReferenceIndicator = source.get("PositionReferenceIndicator", "")
    target.Rows, target.Columns = scene.stack.rows, scene.stack.columns
    target.SharedFunctionalGroupsSequence = [_shared_groups(scene.stack, source)]
    target.ReferencedSeriesSequence = [_referenced_series(scene)]
    target.ReferencedInstanceSequence = [_structure_set_reference(scene)]
    target.SegmentsOverlap = "UNDEFINED" if len(masks) > 1 else "NO"
    target.LossyImageCompression = "00"
    set_lossy(target, source)
    uid = scene.uid("seg", "dimensions")
    target.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for item in target.DimensionIndexSequence:
        item.DimensionOrganizationUID = uid
    if "DimensionOrganizationType" in target:
        del target.DimensionOrganizationType
    return target


def _template(scene: Scene, masks: Sequence[RoiMask]) -> Dataset:
    """highdicom's object for one pixel per segment on a stand-in image.

    The stand-in keeps what real images may lack or have wrong (PatientSex "X", no AccessionNumber)
    away from highdicom's checks; the true attributes are copied afterwards.
    """
    made = hd.seg.Segmentation(
        source_images=[_stand_in(scene)],
        pixel_array=np.ones((1, 1, 1, len(masks)), dtype=np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(number, mask.roi, scene) for number, mask in enumerate(masks, start=1)
        ],
        series_instance_uid=scene.uid("seg", "series"),
        series_number=1,
        sop_instance_uid=scene.uid("seg", "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number=MANUFACTURER,
        content_label=CONTENT_LABEL,
        content_description=long_string(scene.pair.structure_set.label) or None,
        specific_character_set="ISO_IR 192",
    )
    target = Dataset()
    for element in made:
        if element.keyword not in _OF_THE_STAND_IN:
            target.add(element)
    return target


def _stand_in(scene: Scene) -> Dataset:
    image = Dataset()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(image, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(image, keyword, "")
    image.SOPClassUID = scene.series.headers[0].SOPClassUID
    image.SOPInstanceUID = scene.series.sop_uids[0]
    image.StudyInstanceUID = scene.series.study_uid
    image.SeriesInstanceUID = scene.series.series_uid
    image.FrameOfReferenceUID = scene.series.frame_of_reference_uid or _PLACEHOLDER_UID
    image.Modality = scene.series.modality
    image.Rows = image.Columns = 1
    image.PixelSpacing = [1, 1]
    image.SliceThickness = 1
    image.ImagePositionPatient = [0, 0, 0]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    return image


def _segment(number: int, roi: Roi, scene: Scene) -> hd.seg.SegmentDescription:
    codes = segment_code(roi)
    label = long_string(roi.name) or f"ROI {roi.number}"
    item = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=_concept(codes.category),
        segmented_property_type=_concept(codes.type),
        # What an automatic algorithm was called is not in an RTSTRUCT, and SEG demands its name
        # for anything but MANUAL; see _set_algorithm.
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        tracking_id=f"ROI {roi.number}: {label}"[:64].strip(),
        tracking_uid=derive_uid("roi", scene.pair.structure_set.sop_uid, str(roi.number)),
        display_color=hd.color.CIELabColor.from_rgb(*roi.colour) if roi.colour else None,
    )
    if roi.description:
        item.SegmentDescription = roi.description[:1024]
    _set_algorithm(item, roi)
    return item


def _set_algorithm(item: Dataset, roi: Roi) -> None:
    """SegmentAlgorithmType from ROIGenerationAlgorithm; the name is required beside it."""
    if roi.generation_algorithm in ("AUTOMATIC", "SEMIAUTOMATIC"):
        item.SegmentAlgorithmType = roi.generation_algorithm
        item.SegmentAlgorithmName = "not named by the RT Structure Set"


def _concept(code: Code) -> DicomCode:
    return DicomCode(code.value[:16], code.scheme[:16], long_string(code.meaning))


def _shared_groups(stack: SliceStack, source: Dataset) -> Dataset:
    measures = Dataset()
    measures.PixelSpacing = copy.deepcopy(source["PixelSpacing"].value)
    measures.SliceThickness = _decimal(stack.slice_thickness_mm or _typical_gap(stack))
    if len(stack) > 1 and stack.is_uniform:
        measures.SpacingBetweenSlices = _decimal(float(stack.gaps_mm.mean()))
    orientation = Dataset()
    orientation.ImageOrientationPatient = copy.deepcopy(source["ImageOrientationPatient"].value)
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    return shared


def _typical_gap(stack: SliceStack) -> float:
    return float(np.median(stack.gaps_mm)) if len(stack) > 1 else 1.0


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (VR DS)."""
    return f"{value:.10g}"


def _referenced_series(scene: Scene) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = scene.series.series_uid
    instances = []
    for header in scene.series.headers:
        item = Dataset()
        item.ReferencedSOPClassUID = header.SOPClassUID
        item.ReferencedSOPInstanceUID = header.SOPInstanceUID
        instances.append(item)
    series.ReferencedInstanceSequence = instances
    return series


def _structure_set_reference(scene: Scene) -> Dataset:
    """The RT Structure Set, as a related instance (General Reference, PS3.3 C.12.4)."""
    purpose = Dataset()
    purpose.CodeValue = SOURCE_DOCUMENT.value
    purpose.CodingSchemeDesignator = SOURCE_DOCUMENT.scheme
    purpose.CodeMeaning = SOURCE_DOCUMENT.meaning
    item = Dataset()
    item.ReferencedSOPClassUID = scene.pair.structure_set.sop_class_uid
    item.ReferencedSOPInstanceUID = scene.pair.structure_set.sop_uid
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


WRITER = SegWriter()
