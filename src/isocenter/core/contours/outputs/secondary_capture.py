"""Pictures as Secondary Capture images for a PACS (PS3.3 A.8.1)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from pydicom.dataset import Dataset

from isocenter.core.contours.outputs.new_object import (
    copy_study,
    long_string,
    stamp,
    write_instance,
)
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
    target = Dataset()
    source = scene.series.headers[index]
    options = scene.options.preview
    copy_study(source, target, texts=[options.series_description, scene.options.disclaimer])
    stamp(target, scene)
    target.SOPClassUID = SECONDARY_CAPTURE_STORAGE
    target.SOPInstanceUID = scene.uid("preview", "instance", scene.series.sop_uids[index])
    target.SeriesInstanceUID = scene.uid("preview", "series")
    target.Modality = "OT"
    target.ConversionType = "WSD"
    target.SeriesNumber = options.series_number
    target.SeriesDescription = long_string(options.series_description)
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
    if source.get("LossyImageCompression") == "01":
        target.LossyImageCompression = "01"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source:
                target[keyword] = source[keyword]
