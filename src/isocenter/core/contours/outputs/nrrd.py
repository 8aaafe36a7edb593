"""One NRRD mask per ROI."""

from __future__ import annotations

from pathlib import Path

from isocenter.core.contours.masks import RoiMask
from isocenter.core.contours.outputs.mask_volume import named_masks, planes, stack_grid
from isocenter.core.contours.outputs.writer import Output, Scene
from isocenter.core.volumes.nrrd import write_nrrd


class NrrdWriter:
    """``<ROI name>.nrrd``: 0 outside, 1 inside, uint8, space LPS.

    The header's key/value pairs carry name and colour as 3D Slicer reads them, so that the file
    can be opened as a segmentation.
    """

    format = "nrrd"
    version = "1"

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes a file for each ROI that has a voxel.

        Raises:
            GeometryError: the slices do not lie along one line.
        """
        grid = stack_grid(scene.stack)
        outputs = []
        for mask, stem in named_masks(scene):
            path = out_dir / f"{stem}.nrrd"
            write_nrrd(path, planes(mask, grid), grid.grid, "uint8", fields=_segment(mask))
            outputs.append(Output("nrrd", f"{mask.roi.name} mask", path))
        return outputs


def _segment(mask: RoiMask) -> dict[str, str]:
    fields = {
        "Segment0_ID": f"Segment_{mask.roi.number}",
        "Segment0_Name": mask.roi.name,
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
    }
    if mask.roi.colour is not None:
        fields["Segment0_Color"] = " ".join(f"{value / 255:.6g}" for value in mask.roi.colour)
    return fields


WRITER = NrrdWriter()
