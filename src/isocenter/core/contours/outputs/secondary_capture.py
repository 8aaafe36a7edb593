"""Pictures as Secondary Capture images for a PACS (PS3.3 A.8.1)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from pydicom.dataset import Dataset

from isocenter.core.contours.outputs.new_object import set_lossy, study_object, write_instance
from isocenter.core.contours.outputs.picture import direction_letters
from isocenter.core.contours.outputs.writer import Output, Scene

SECONDARY_CAPTURE_STORAGE = "1.2.840.10008.5.1.4.1.1.7"


def write_secondary_capture(
    scene: Scene, picture: Image.Image, index: int, number: int, path: Path
) -> Output:
    """Write one picture as an RGB image.

    Args:
        scene: for patient, study and UIDs.
        picture: RGB.
        index: slice of the stack that it shows.
        number: InstanceNumber, from 1.
        path: file to write.
    """
    source = scene.series.headers[index]
    options = scene.options.preview
    target = study_object(
        scene,
        source,
        kind="preview",
        sop_uid=scene.uid("preview", "instance", scene.series.sop_uids[index]),
        series_number=options.series_number,
        series_description=options.series_description,
        texts=[scene.options.disclaimer],
    )
    target.SOPClassUID = SECONDARY_CAPTURE_STORAGE
    target.Modality = "OT"
    target.ConversionType = "WSD"
    target.InstanceNumber = number
    target.Laterality = ""
    target.ImageType = ["DERIVED", "SECONDARY"]
    target.BurnedInAnnotation = "NO"  # there is text, but none that names the patient or a date
    target.ImageComments = scene.options.disclaimer
    _set_derivation(target, scene, source)
    target.SamplesPerPixel = 3
    target.PhotometricInterpretation = "RGB"
    target.PlanarConfiguration = 0
    target.Rows, target.Columns = picture.height, picture.width
    target.BitsAllocated = target.BitsStored = 8
    target.HighBit = 7
    target.PixelRepresentation = 0
    pixels = picture.tobytes()
    write_instance(target, path, [pixels], len(pixels))
    return Output(
        kind="preview-sc",
        role=f"Preview of slice {index + 1}",
        path=path,
        sop_uid=str(target.SOPInstanceUID),
        series_uid=str(target.SeriesInstanceUID),
        sop_class_uid=SECONDARY_CAPTURE_STORAGE,
    )


def _set_derivation(target: Dataset, scene: Scene, source: Dataset) -> None:
    target.DerivationDescription = "Windowed image with outlines of RT contours"
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    target.SourceImageSequence = [item]
    target.PatientOrientation = [
        direction_letters(scene.stack.row_cosine),
        direction_letters(scene.stack.column_cosine),
    ]
    set_lossy(target, source)
