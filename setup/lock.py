"""Update the lock files from the requirement files: `make lock`, or `make lock UPGRADE=1` for the newest versions.

One resolution covers Python 3.10 to 3.12 on all platforms, with markers for packages that need different versions. It is done by
uv, which is installed into a temporary environment if it is not installed yet.
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

# The bounds that pyproject.toml sets under [tool.uv]. uv repeats them for every package. They are removed from the lock files,
# because on a Python outside the bounds pip would skip every package without an error.
BOUNDS = ("python_full_version < '3.13'", "sys_platform != 'emscripten'")

BUILD_NOTE = """
# The tools that build packages without wheels. They are installed first: requirements-build.txt says why."""
BASE_NOTE = """
# The packages that the CPU and the GPU variant share, including those for tests and lint."""
CPU_NOTE = """
# The CPU variant:
#   pip install -r setup/build.lock
#   pip install --no-build-isolation -r setup/cpu.lock"""
GPU_NOTE = """
# The GPU variant, except for {paddle} and the nvidia-* packages that it requires. These are NOT locked: they come
# from Paddle's own index, with another build for each CUDA version, so their hashes are not known here.
#   pip install -r setup/build.lock
#   pip install --no-build-isolation -r setup/gpu.lock
#   pip install -r requirements-gpu.txt --extra-index-url ADDRESS      (requirements-gpu.txt has the address)
# The last command keeps the packages of the second one, unless {paddle} itself requires another version."""


def main() -> int:
    """Update the lock files as the command line asks, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m setup.lock", description="Update setup/*.lock from the requirement files.")
    parser.add_argument(
        "--upgrade",
        nargs="*",
        metavar="PACKAGE",
        help="use the newest versions of these packages, or of all if none is named (default: keep the pins)",
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
        print(f"error: {Path(error.cmd[0]).name} failed (see above); the lock files are unchanged", file=sys.stderr)
        return 1
    print(f"lock: wrote {', '.join(f'setup/{name}' for name in LOCK_NAMES)}; `git diff setup` shows what changed")
    return 0


def check_paddle_versions() -> None:
    """Raise ValueError unless the CPU and the GPU variant differ only in the build of paddlepaddle.

    The default package index does not have the GPU wheel, so its dependencies are assumed to be those of the CPU wheel of the same
    version.
    """
    cpu = requirement_lines(ROOT / CPU)
    gpu = [line.replace("paddlepaddle-gpu", "paddlepaddle") for line in requirement_lines(ROOT / GPU)]
    if cpu != gpu:
        raise ValueError(f"{CPU} and {GPU} must name the same versions; they differ in {sorted({*cpu} ^ {*gpu})}")


def find_uv(directory: Path) -> str:
    """Return the path of uv. If it is not on the PATH, install it into a temporary environment in `directory`."""
    if path := shutil.which("uv"):
        return path
    print(f"lock: uv is not installed; using {UV_RELEASE} in a temporary environment", flush=True)
    venv.create(directory / "uv", with_pip=True)
    scripts = directory / "uv" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", UV_RELEASE], check=True)
    return str(scripts / "uv")


def write_locks(uv: str, directory: Path, options: list[str]) -> None:
    """Resolve all requirements, and write the four lock files.

    Args:
        uv: path of uv.
        directory: a temporary directory.
        options: further options of uv.
    """
    print(f"lock: resolving {', '.join(ALL_FILES)}", flush=True)
    current_pins = "".join(read_pins(LOCKS / name) for name in ("base.lock", "cpu.lock"))
    everything = resolve(uv, directory, [CPU, DEV, BUILD], current_pins, options)
    build = resolve(uv, directory, [BUILD], everything, [])
    paddle_pin = re.compile(r"^paddlepaddle==.*\n(?:[ ].*\n)*", re.MULTILINE)
    paddle = paddle_pin.search(everything)[0]
    [gpu_requirement] = [line for line in requirement_lines(ROOT / GPU) if line.startswith("paddlepaddle-gpu")]
    write("build.lock", BUILD_NOTE, build)
    write("base.lock", BASE_NOTE, paddle_pin.sub("", everything))
    write("cpu.lock", CPU_NOTE, "-r base.lock\n" + paddle)
    write("gpu.lock", GPU_NOTE.format(paddle=gpu_requirement), "-r base.lock\n")


def read_pins(lock: Path) -> str:
    """Return the text of a lock file without its header and includes, or "" if the file does not exist."""
    text = lock.read_text(encoding="utf-8") if lock.exists() else ""
    return re.sub(r"^(#|-r ).*\n", "", text, flags=re.MULTILINE)


def resolve(uv: str, directory: Path, inputs: list[str], current_pins: str, options: list[str]) -> str:
    """Resolve requirement files, and return the pins with their hashes and without index addresses.

    Args:
        uv: path of uv.
        directory: a temporary directory.
        inputs: names of the requirement files.
        current_pins: text of the pins to keep if the requirements allow them.
        options: further options of uv.
    """
    output = directory / "resolved.txt"
    output.write_text(current_pins, encoding="utf-8")
    flags = ["--quiet", "--universal", "--python-version=3.10", "--generate-hashes", "--no-header"]
    no_hosts = ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-index-annotation"]
    subprocess.run([uv, "pip", "compile", *flags, *no_hosts, *options, f"--output-file={output}", *inputs], cwd=ROOT, check=True)
    text = output.read_text(encoding="utf-8")
    for bound in BOUNDS:
        text = text.replace(f" and {bound}", "").replace(f"{bound} and ", "").replace(f" ; {bound}", "")
    return text


def write(name: str, note: str, pins: str) -> None:
    """Write the lock file `name` with its header, which contains `note` and the digest of the requirements."""
    header = f"# Written by `make lock`: do not edit.\n# requirements: sha256:{requirements_digest()}{note}\n"
    (LOCKS / name).write_text(header + pins, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
