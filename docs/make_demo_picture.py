"""Write docs/images/demo.png, the picture in docs/demo.md: the demo page with an example of the demo's run, in a browser.

`python -m docs.make_demo_picture` runs this, in the top folder of the repository. It trains the demo's run first if it is not
there, and needs Chromium or Chrome, a Chinese font, and the packages of requirements-dev.txt.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from docs.make_picture import BROWSERS, RUN
from paddle_ft.demo.server import DemoServer
from paddle_ft.system.runtime import prepare_cpu

PICTURE = Path("docs/images/demo.png")
WINDOW = {"width": 1100, "height": 620}
SCALE = 1.5  # pixels of the picture for each CSS pixel


def main() -> None:
    """Train the demo's run if it is not there, serve it, ask for the first example, and write the picture."""
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        raise SystemExit(f"error: no browser was found. Install one of these: {', '.join(BROWSERS)}")
    if not (RUN / "results.json").exists():
        subprocess.run([sys.executable, "train.py", "--config", "bart_lcsts", "--sample", "--overwrite"], check=True)
    prepare_cpu()
    with DemoServer([str(RUN)], port=0, language="en") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=WINDOW, device_scale_factor=SCALE)
        page.goto(server.url)
        page.locator(".gallery-item").first.click()
        page.locator(".ft-run").click()
        page.locator(".ft-output .ft-remark").last.wait_for()
        page.screenshot(path=PICTURE)
        browser.close()
    picture = Image.open(PICTURE).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}  {picture.width} x {picture.height}, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
