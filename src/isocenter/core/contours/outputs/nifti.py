"""One NIfTI mask per ROI."""

from __future__ import annotations

from pathlib import Path

from isocenter.core.contours.outputs.mask_volume import named_masks, planes, stack_grid
from isocenter.core.contours.outputs.writer import Output, Scene
from isocenter.core.volumes.nifti import write_nifti


class NiftiWriter:
    """``<ROI name>.nii.gz`` or ``.nii``: 0 outside, 1 inside, uint8; DICOM voxel order, RAS affine.

    A series with irregular slice distances gets a regular grid of the smallest distance
    (`isocenter.core.volumes.grid.regular_grid`), and the file's description says so.
    """

    format = "nifti"
    version = "1"

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes a file for each ROI that has a voxel.

        Raises:
            GeometryError: the series is no volume that NIfTI can hold.
        """
        grid = stack_grid(scene.stack)
        description = "Isocenter RT mask" if grid.is_exact else "Isocenter RT mask, nearest slice"
        compression = scene.options.nifti_compression
        suffix = ".nii.gz" if compression else ".nii"
        outputs = []
        for mask, stem in named_masks(scene):
            path = out_dir / f"{stem}{suffix}"
            write_nifti(
                path,
                planes(mask, grid),
                grid.grid,
                "uint8",
                description=description,
                compression=compression,
            )
            outputs.append(Output("nifti", f"{mask.roi.name} mask", path))
        return outputs


WRITER = NiftiWriter()
