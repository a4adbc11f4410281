"""Write docs/images/report.png, the picture in the README: the top of the report of the demo's run, as a browser shows it.

`make picture` runs this, in the top folder of the repository, and trains the demo's run first if it is not there. It needs
Chromium or Chrome, and a Chinese font.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

from paddle_ft.reporting.page import write_report

RUN = Path("runs/bart_lcsts_sample")
PICTURE = Path("docs/images/report.png")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH, HEIGHT = 1000, 1032  # of the window, in CSS pixels: the picture ends below the second example
SCALE = 1.5  # pixels of the picture for each CSS pixel


def photograph(page: Path, target: Path) -> None:
    """Write a screenshot of the top of a page.

    Raises:
        SystemExit: there is no browser, or it wrote no picture.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"error: no browser was found. Install one of these: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
                   f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}",
                   f"--screenshot={target}", page.resolve().as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode or not target.exists():
        raise SystemExit(f"error: {browser} wrote no picture:\n{done.stderr}")


def main() -> None:
    """Train the demo's run if it is not there, write its report again, and make the picture."""
    if not (RUN / "results.json").exists():
        subprocess.run([sys.executable, "train.py", "--config", "bart_lcsts", "--sample", "--overwrite"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        screenshot = Path(folder) / "screenshot.png"
        photograph(write_report(RUN), screenshot)
        picture = Image.open(screenshot).convert("RGB")
    # 128 colours are enough for text and curves, and make the file a third as large.
    picture = ImageOps.expand(picture, border=2, fill="#d8dee4").quantize(128, dither=Image.Dither.NONE)
    PICTURE.parent.mkdir(exist_ok=True)
    picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}  {picture.width} x {picture.height}, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
