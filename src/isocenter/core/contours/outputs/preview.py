"""Pictures of the slices that have contours, a montage, and a Secondary Capture series."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from isocenter.core.contours.outputs.montage import chosen_slices, draw_montage, thumbnail
from isocenter.core.contours.outputs.picture import draw_picture, style_of
from isocenter.core.contours.outputs.secondary_capture import write_secondary_capture
from isocenter.core.contours.outputs.window import series_window
from isocenter.core.contours.outputs.writer import Output, Scene

JPEG_QUALITY = 90
#: Speed matters more than size here; level 1 is four times as fast as the default.
_PNG_LEVEL = 1


class PreviewWriter:
    """``slice_NNNN.png`` (or ``.jpg``), ``montage.png``, ``sc_NNNN.dcm``.

    NNNN is the slice's place in the stack, from 1. Pictures carry ROI names and the disclaimer,
    and nothing that names the patient.
    """

    format = "preview"
    version = "1"

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes a picture for each slice with contours, or for every slice where asked to.

        Raises:
            PixelError: pixels that cannot be decoded.
        """
        drawn = sorted({index for mask in scene.masks for index in mask.slices})
        if not drawn:
            return []
        every = range(scene.stack.shape[0])
        slices = list(every) if scene.options.preview.slices == "all" else drawn
        style = style_of(scene, series_window(scene.series, scene.options.preview))
        on_sheet = set(chosen_slices(drawn))
        outputs, tiles = [], []
        for number, index in enumerate(slices, start=1):
            picture = draw_picture(scene, index, style)
            outputs += self._write(scene, picture, index, number, out_dir)
            if index in on_sheet:
                tiles.append((index, thumbnail(scene, index, style)))
            scene.on_progress(number / (len(slices) + 1), "preview")
        sheet = out_dir / "montage.png"
        draw_montage(scene, style, tiles, len(drawn)).save(sheet, compress_level=_PNG_LEVEL)
        return [Output("preview", "Montage", sheet), *outputs]

    def _write(
        self, scene: Scene, picture: Image.Image, index: int, number: int, out_dir: Path
    ) -> list[Output]:
        path = _save(
            picture, out_dir / f"slice_{index + 1:04d}", scene.options.preview.image_format
        )
        outputs = [Output("preview", f"Slice {index + 1}", path)]
        if scene.options.preview.secondary_capture:
            path = out_dir / f"sc_{index + 1:04d}.dcm"
            outputs.append(write_secondary_capture(scene, picture, index, number, path))
        return outputs


def _save(picture: Image.Image, stem: Path, image_format: str) -> Path:
    if image_format == "jpeg":
        path = stem.with_suffix(".jpg")
        picture.save(path, quality=JPEG_QUALITY, subsampling=0)
    else:
        path = stem.with_suffix(".png")
        picture.save(path, compress_level=_PNG_LEVEL)
    return path


WRITER = PreviewWriter()
