"""Engines that find text in a picture.

The everyday one is the text detection network of RapidOCR (PP-OCR, Apache-2.0), which carries its
weights in its wheel, run by onnxruntime (MIT) on the CPU. Only the detection is run: where text is
matters, not what it says. Tesseract can be a second opinion (:class:`SecondOpinion`) where its
binary is there and a caller asks for it; the result then depends on its version. Both come from
outside the core; :func:`available` says what is missing.
"""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.deid.pixels.rectangles import Rectangle, clipped
from isocenter.core.errors import ConfigurationError

Picture = NDArray[np.uint8]

_EXTRA = "pip install 'isocenter[deid-ocr]'"
_STRIDE = 32  # the network halves its input five times
#: A pixel is text from the first on; regions that are too high are parted at the next ones.
_PIXEL_LIKELIHOODS = (0.1, 0.3, 0.5, 0.7)
#: A region counts where its best pixel reaches this.
_REGION_LIKELIHOOD = 0.3
#: Higher ones are whole organs or frames that the network takes for one letter. Letters that are
#: as large are found in a reduced picture.
_MAX_HEIGHT = 56  # pixels of the map: letters of twice that
_LETTER_HEIGHT = 28  # single letters of more than that are none, lines are
# What a line looks like that was parted off such a region: height in pixels of the map, ratio of
# length to height, share of its box that is text, likelihood of its best pixel.
_LINE_HEIGHT, _LINE_RATIO, _LINE_FILL, _LINE_LIKELIHOOD = 5, 1.5, 0.6, 0.8
#: The network draws text smaller than it is, by this ratio (DBNet, AAAI 2020, 3.3: unclipping).
_UNCLIP = 1.6
_MIN_SIDE = 3  # pixels of the map; smaller ones are specks
_TESSERACT_TIMEOUT_S = 120


class TextDetector(Protocol):
    """Finds text in a picture, whole words or lines; tests bring their own."""

    @property
    def name(self) -> str:
        """Engine and version, for the report."""

    def find(self, picture: Picture) -> list[Rectangle]:
        """Where text is.

        Args:
            picture: (rows, columns, 3), red, green, blue; at most about a megapixel.
        """


def available() -> str | None:
    """Why text cannot be found on this machine; None where it can."""
    for module in ("onnxruntime", "rapidocr"):
        if find_spec(module) is None:
            return f"{module} is not installed; {_EXTRA}"
    if _weights() is None:
        return f"rapidocr has no weights for text detection; {_EXTRA}"
    return None


@cache
def default_detector() -> TextDetector:
    """The engine of this machine, loaded once per process.

    Raises:
        ConfigurationError: there is none; see :func:`available`.
    """
    reason = available()
    if reason is not None:
        raise ConfigurationError(reason)
    return RapidDetector()


class RapidDetector:
    """PP-OCR's text detection by onnxruntime.

    One thread, so that the same picture gives the same boxes and processes do not fight for
    cores.
    """

    def __init__(self, weights: Path | None = None) -> None:
        import onnxruntime

        path = weights or _weights()
        if path is None:
            raise ConfigurationError(f"no weights for text detection; {_EXTRA}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._name = f"{path.stem} (onnxruntime {onnxruntime.__version__})"

    @property
    def name(self) -> str:
        return self._name

    def find(self, picture: Picture) -> list[Rectangle]:
        rows, columns = picture.shape[:2]
        found = []
        for left, top, right, bottom in _regions(self.likelihood(picture), 0):
            width, height = right - left, bottom - top
            grow = round(_UNCLIP * height * width / (2 * (height + width)))
            box = clipped(left - grow, top - grow, right + grow, bottom + grow, columns, rows)
            if box is not None:
                found.append(box)
        return found

    def likelihood(self, picture: Picture) -> NDArray[np.float32]:
        """How likely each pixel is text, 0 to 1, in the shape of the picture."""
        rows, columns = picture.shape[:2]
        below, beside = -rows % _STRIDE, -columns % _STRIDE
        padded = np.pad(picture, ((0, below), (0, beside), (0, 0)), mode="edge")
        scaled = padded.astype(np.float32).transpose(2, 0, 1)[np.newaxis] / 127.5 - 1
        output: Any = self._session.run(None, {self._input: scaled})[0]
        return np.asarray(output[0, 0, :rows, :columns], dtype=np.float32)


def _regions(likelihood: NDArray[np.float32], level: int) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right, bottom of what is text in a map."""
    labels, _ = ndimage.label(likelihood > _PIXEL_LIKELIHOODS[level], np.ones((3, 3)))
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        height, width = (edge.stop - edge.start for edge in box)
        if min(height, width) < _MIN_SIDE:
            continue
        inside = np.where(labels[box] == index, likelihood[box], 0)
        if inside.max() < _REGION_LIKELIHOOD or (level and not _is_line(inside)):
            continue
        left, top = box[1].start, box[0].start
        low, long = sorted((height, width))
        if low <= _LETTER_HEIGHT or (low <= _MAX_HEIGHT and long >= _LINE_RATIO * low):
            yield left, top, left + width, top + height
        elif level + 1 < len(_PIXEL_LIKELIHOODS):
            for part in _regions(inside, level + 1):
                yield left + part[0], top + part[1], left + part[2], top + part[3]


def _is_line(part: NDArray[np.float32]) -> bool:
    """Whether what was parted off an organ or a frame looks like a line of text, not a crumb."""
    height, width = part.shape
    low, long = sorted((height, width))
    is_high = low > _MAX_HEIGHT
    is_long = low >= _LINE_HEIGHT and long >= _LINE_RATIO * low
    filled = np.count_nonzero(part) >= _LINE_FILL * part.size
    return is_high or bool(is_long and filled and part.max() >= _LINE_LIKELIHOOD)


class TesseractDetector:
    """Tesseract's words, as a second opinion: sparse text, any confidence above 30 percent."""

    def __init__(self, binary: str = "tesseract") -> None:
        path = shutil.which(binary)
        if path is None:
            raise ConfigurationError("tesseract is not installed")
        self._binary = path

    @property
    def name(self) -> str:
        return "tesseract"

    def find(self, picture: Picture) -> list[Rectangle]:
        from PIL import Image

        rows, columns = picture.shape[:2]
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        command = [self._binary, "stdin", "stdout", "--psm", "11", "tsv"]
        done = subprocess.run(
            command, input=file.getvalue(), capture_output=True, check=False,
            timeout=_TESSERACT_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode:
            raise ConfigurationError(f"tesseract ended with code {done.returncode}")
        lines = csv.DictReader(
            io.StringIO(done.stdout.decode("utf-8", "replace")), delimiter="\t", quoting=3
        )
        found = []
        for line in lines:
            if not (line.get("text") or "").strip() or float(line["conf"]) < 30:
                continue
            left, top = int(line["left"]), int(line["top"])
            right, bottom = left + int(line["width"]), top + int(line["height"])
            rectangle = clipped(left, top, right, bottom, columns, rows)
            if rectangle is not None:
                found.append(rectangle)
        return found


class SecondOpinion:
    """Two engines; what either finds counts."""

    def __init__(self, first: TextDetector, second: TextDetector) -> None:
        self._engines = first, second

    @property
    def name(self) -> str:
        return " and ".join(engine.name for engine in self._engines)

    def find(self, picture: Picture) -> list[Rectangle]:
        return [box for engine in self._engines for box in engine.find(picture)]


@cache
def _weights() -> Path | None:
    """The detection network in RapidOCR's wheel; its name has its version."""
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        return None
    models = Path(spec.origin).parent / "models"
    return next(iter(sorted(models.glob("*_det_*.onnx"))), None)
