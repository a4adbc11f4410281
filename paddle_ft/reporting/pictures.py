"""Turn figures into pictures for files and pages."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from paddle_ft.reporting.curves import TITLE
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
    for axes in figure.axes:  # all ticks are computed again for each thing that is placed by them, which nothing shows here
        for spine in axes.spines.values():  # the labels of the ticks are further out
            spine.set_in_layout(False)
        if (title := axes.get_title("left")) and not _has_power(axes.yaxis):
            axes.set_title(title, y=1.0, **TITLE)  # it stays where it is; else it makes room for the power
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


def _has_power(axis: Axis) -> bool:
    """Return whether something such as 1e7 stands at the end of an axis, because its numbers are written without it."""
    formatter = axis.get_major_formatter()
    formatter.format_ticks(list(axis.get_majorticklocs()))  # an array or a list
    return bool(formatter.get_offset())
