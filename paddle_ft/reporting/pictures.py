"""Turn figures into pictures for files and pages."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
    """
    names = use_readable_fonts(figure)
    canvas = FigureCanvasAgg(figure)
    figure.dpi = dpi
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine("none")
    file = io.BytesIO()
    canvas.print_png(file)
    return Picture(file.getvalue(), names)
