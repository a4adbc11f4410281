"""Turn figures into pictures for files and pages."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass, field

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from paddle_ft.reporting.fonts import use_readable_fonts


@dataclass(frozen=True)
class Picture:
    """A figure as PNG.

    Attributes:
        png: the content of the file.
        names: "#1" -> the text that it stands for in the picture, because no font of the plots has its characters.
    """

    png: bytes
    names: dict[str, str] = field(default_factory=dict)

    @property
    def base64(self) -> str:
        """The PNG as the pages embed it."""
        return base64.b64encode(self.png).decode()

    @property
    def caption(self) -> str:
        """What the numbers in the picture stand for, "" if there are none."""
        names = ", ".join(f"{number} {name}" for number, name in self.names.items())
        return names and f"{names} (no font that is installed here has their characters)"


def to_picture(figure: Figure, dpi: int = 150) -> Picture:
    """Return a figure as a picture, its texts in fonts that have their characters.

    The picture is that of Figure.savefig, which draws everything twice if there is a layout: the first time for the layout alone.
    The file is smaller, and is written in half the time.
    """
    names = use_readable_fonts(figure)
    for axes in figure.axes:
        for spine in axes.spines.values():  # the labels are further out, and all ticks are computed again for each spine
            spine.set_in_layout(False)
    canvas = FigureCanvasAgg(figure)
    figure.dpi = dpi
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine("none")
    canvas.draw()
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # nothing is transparent
    image.save(file, "png", dpi=(dpi, dpi), compress_level=1, compress_type=zlib.Z_RLE)
    return Picture(file.getvalue(), names)
