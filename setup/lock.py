"""Renew the lock files from the requirement files: `make lock`, or `make lock UPGRADE=1` for the newest versions.

One resolution covers Python 3.10 to 3.12 on all platforms, with markers where they need different versions. uv resolves;
where it is not installed, it is installed into a temporary environment.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from setup.requirement_files import ALL_FILES, BUILD, CPU, DEV, GPU, LOCKS, ROOT, requirement_lines, requirements_digest

UV_RELEASE = "uv==0.13.9"
LOCK_NAMES = ("build.lock", "base.lock", "cpu.lock", "gpu.lock")

# The bounds that pyproject.toml sets under [tool.uv]. uv repeats them at every package. They are left out of the files,
# because pip would skip everything, without an error, on a Python outside the bounds.
BOUNDS = ("python_full_version < '3.13'", "sys_platform != 'emscripten'")

BUILD_NOTE = """
# What packages without wheels are built with. Installed first: requirements-build.txt says why."""
BASE_NOTE = """
# What the CPU and the GPU variant share, tests and lint included."""
CPU_NOTE = """
# The CPU variant:
#   pip install -r setup/build.lock
#   pip install --no-build-isolation -r setup/cpu.lock"""
GPU_NOTE = """
# The GPU variant, except for {paddle} and the nvidia-* packages that it asks for. These are NOT locked: they come
# from Paddle's own index, with another build for each CUDA version, so their hashes are not known here.
#   pip install -r setup/build.lock
#   pip install --no-build-isolation -r setup/gpu.lock
#   pip install -r requirements-gpu.txt --extra-index-url ADDRESS      (requirements-gpu.txt has the address)
# The last command keeps what the second one installed, unless {paddle} itself asks for another version."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m setup.lock", description="Renew setup/*.lock from the requirement files.")
    parser.add_argument(
        "--upgrade",
        nargs="*",
        metavar="PACKAGE",
        help="take the newest versions of these packages (of all, if none is named); without it present pins are kept",
    )
    upgrade = parser.parse_args().upgrade
    if upgrade is None:
        options = []
    else:
        options = [f"--upgrade-package={name}" for name in upgrade] or ["--upgrade"]
    try:
        check_paddle_versions()
        with tempfile.TemporaryDirectory() as directory:
            write_locks(find_uv(Path(directory)), Path(directory), options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"error: {Path(error.cmd[0]).name} failed (see above); the lock files are as they were", file=sys.stderr)
        return 1
    print(f"lock: wrote {', '.join(f'setup/{name}' for name in LOCK_NAMES)}; `git diff setup` shows what changed")
    return 0


def check_paddle_versions() -> None:
    """Raise ValueError unless the CPU and the GPU variant differ in paddlepaddle's build alone.

    The dependencies of the GPU wheel cannot be read from the registry. Those of the CPU wheel of the same version stand in.
    """
    cpu = requirement_lines(ROOT / CPU)
    gpu = [line.replace("paddlepaddle-gpu", "paddlepaddle") for line in requirement_lines(ROOT / GPU)]
    if cpu != gpu:
        raise ValueError(f"{CPU} and {GPU} must name the same versions; they differ in {sorted({*cpu} ^ {*gpu})}")


def find_uv(directory: Path) -> str:
    """Return uv's path, installing it into a temporary environment in `directory` if it is not on PATH."""
    if path := shutil.which("uv"):
        return path
    print(f"lock: uv is not installed; taking {UV_RELEASE} for this once", flush=True)
    venv.create(directory / "uv", with_pip=True)
    scripts = directory / "uv" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", UV_RELEASE], check=True)
    return str(scripts / "uv")


def write_locks(uv: str, directory: Path, options: list[str]) -> None:
    """Resolve everything, then write the four lock files."""
    print(f"lock: resolving {', '.join(ALL_FILES)}", flush=True)
    present = "".join(read_pins(LOCKS / name) for name in ("base.lock", "cpu.lock"))
    everything = resolve(uv, directory, [CPU, DEV, BUILD], present, options)
    build = resolve(uv, directory, [BUILD], everything, [])
    paddle_pin = re.compile(r"^paddlepaddle==.*\n(?:[ ].*\n)*", re.MULTILINE)
    paddle = paddle_pin.search(everything)[0]
    [gpu_requirement] = [line for line in requirement_lines(ROOT / GPU) if line.startswith("paddlepaddle-gpu")]
    write("build.lock", BUILD_NOTE, build)
    write("base.lock", BASE_NOTE, paddle_pin.sub("", everything))
    write("cpu.lock", CPU_NOTE, "-r base.lock\n" + paddle)
    write("gpu.lock", GPU_NOTE.format(paddle=gpu_requirement), "-r base.lock\n")


def read_pins(lock: Path) -> str:
    """Return the pins of a lock file without its header and includes, "" if the file does not exist."""
    text = lock.read_text(encoding="utf-8") if lock.exists() else ""
    return re.sub(r"^(#|-r ).*\n", "", text, flags=re.MULTILINE)


def resolve(uv: str, directory: Path, inputs: list[str], present: str, options: list[str]) -> str:
    """Return the locked text of requirement files, with hashes and without index addresses.

    Args:
        present: pins that are kept where the requirements allow them.
    """
    output = directory / "resolved.txt"
    output.write_text(present, encoding="utf-8")
    flags = ["--quiet", "--universal", "--python-version=3.10", "--generate-hashes", "--no-header"]
    no_hosts = ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-index-annotation"]
    subprocess.run([uv, "pip", "compile", *flags, *no_hosts, *options, f"--output-file={output}", *inputs], cwd=ROOT, check=True)
    text = output.read_text(encoding="utf-8")
    for bound in BOUNDS:
        text = text.replace(f" and {bound}", "").replace(f"{bound} and ", "").replace(f" ; {bound}", "")
    return text


def write(name: str, note: str, pins: str) -> None:
    """Write a lock file with its header."""
    header = f"# Written by `make lock`: do not edit.\n# requirements: sha256:{requirements_digest()}{note}\n"
    (LOCKS / name).write_text(header + pins, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
