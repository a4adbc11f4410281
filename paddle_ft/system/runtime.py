"""Settings of the machine: CPU settings before paddle is imported, then devices, seeds and peak memory.

The command line and the benchmarks call `prepare_cpu()` first of all, so this module imports paddle only inside functions.
"""

from __future__ import annotations

import importlib.metadata
import os
import random
import sys
from pathlib import Path

from convert.paddlenlp_import import import_paddlenlp
from convert.progress import in_notebook
from paddle_ft.system import interrupts
from paddle_ft.system.errors import UserError
from paddle_ft.system.installation import install_hint
from paddle_ft.system.paddle_compat import peak_cpu_bytes, reset_peak_cpu_bytes
from paddle_ft.system.world import is_main_process

CPU_VARIABLES = ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "FLAGS_use_stride_kernel")
FREED_MEMORY = "PADDLE_FT_FREED_MEMORY"  # environment variable that prepare_cpu sets once glibc keeps freed memory


def available_cpus() -> int:
    """Return how many cores this process may use, by its affinity mask and by the CPU quota of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is not None:
        cores = min(cores, max(1, int(quota)))
    return cores


def _cgroup_quota() -> float | None:
    """Return the CPU quota of the control group in cores (version 2, else version 1), or None if there is no quota."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        microseconds = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
        return None if quota <= 0 else quota / microseconds
    except (OSError, ValueError):
        return None


def mkl_cpu_type() -> str | None:
    """Return the best value of MKL_DEBUG_CPU_TYPE for this processor, or None unless it is made by AMD.

    The MKL in Paddle (from 2019) recognises only Intel processors and runs its slowest code on AMD's. The variable selects
    other code: 7 is AVX-512, 5 is AVX2. docs/speed.md lists the speed of each.
    """
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    if "AuthenticAMD" not in cpuinfo:
        return None
    flags = set(cpuinfo.partition("flags")[2].partition("\n")[0].split())
    if {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "7"
    return "5" if "avx2" in flags else None


def has_gpu_build() -> bool:
    """Return whether the installed Paddle is the GPU build, without importing it."""
    try:
        importlib.metadata.version("paddlepaddle-gpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def prepare_cpu() -> dict[str, str]:
    """Set the environment variables that make Paddle fast on a CPU. Values that the user has set are kept.

    Call this before paddle or numpy is imported, because MKL and OpenMP read the variables only once.

    Returns:
        Name -> value of the variables that matter on this machine, including values that the user has set.
    """
    os.environ.pop(FREED_MEMORY, None)  # inherited from a parent process, but glibc's setting is not
    chosen = {"OMP_NUM_THREADS": str(available_cpus())}
    if (cpu_type := mkl_cpu_type()) is not None:
        chosen["MKL_DEBUG_CPU_TYPE"] = cpu_type
    if not has_gpu_build():
        chosen["FLAGS_use_stride_kernel"] = "0"  # on a CPU, strided views cost more time than the copies they save
        if keep_freed_memory():
            os.environ[FREED_MEMORY] = "kept"
    for name, value in chosen.items():
        os.environ.setdefault(name, value)
    # Unless this is set, the tokenizers package turns off its threads after a fork and prints a warning.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    return {name: os.environ[name] for name in chosen}


def cpu_settings() -> list[str]:
    """Return the CPU settings for the first line of a training's output: "OMP_NUM_THREADS=8", "freed memory is kept", ..."""
    settings = [f"{name}={os.environ[name]}" for name in CPU_VARIABLES if name in os.environ]
    return [*settings, "freed memory is kept"] if is_freed_memory_kept() else settings


def is_freed_memory_kept() -> bool:
    """Return whether prepare_cpu has made glibc keep freed memory in this process."""
    return FREED_MEMORY in os.environ


def keep_freed_memory() -> bool:
    """Make glibc keep the memory of freed arrays for new ones, unless the user has set its thresholds.

    By default glibc returns large arrays to the system when they are freed (the limit is 128 kB at first and grows to 32 MB),
    and each new array is then mapped in page by page. docs/speed.md says how much of a training step this costs.

    Returns:
        Whether glibc accepted the settings.
    """
    import ctypes

    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    # Older versions of glibc accept at most 32 MB.
    accepted = mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20)
    return bool(accepted and mallopt(trim_threshold, (1 << 31) - 1) and mallopt(top_pad, 64 << 20))


_USELESS_LINES = ("WARNING: OMP_NUM_THREADS set to", "PLEASE USE OMP_NUM_THREADS WISELY")


LOADING = "loading Paddle ..."
_announced = True


def announce_loading(wanted: bool) -> None:
    """Set whether say_loading prints its line. It does unless a command prints JSON for programs."""
    global _announced
    _announced = wanted


def say_loading() -> None:
    """Print that Paddle is being loaded, which takes seconds, and much longer where its files have not been read lately."""
    if _announced and is_main_process():
        print(LOADING, file=sys.stdout if in_notebook() else sys.stderr, flush=True)  # the doctor does without tqdm


def import_frameworks_quietly() -> None:
    """Import paddle and paddlenlp without the warnings that do not help a user (ccache, setuptools, threads, widgets)."""
    import contextlib
    import io
    import logging
    import warnings

    if "paddlenlp" not in sys.modules:
        say_loading()
    warnings.filterwarnings("ignore", message="No ccache found")
    warnings.filterwarnings("ignore", message="Setuptools is replacing distutils")
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    warnings.filterwarnings("ignore", message="IProgress not found")  # in a notebook without ipywidgets bars are text
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ.setdefault("GLOG_minloglevel", "2")
    output = io.StringIO()
    with interrupts.remembered():
        try:
            with interrupts.sigterm_kept(), contextlib.redirect_stderr(output):
                import_paddlenlp()
                from paddlenlp.utils.log import logger
        finally:
            if not interrupts.is_pressed():  # else Paddle says that its library cannot be imported
                lines = [line for line in output.getvalue().splitlines(keepends=True) if not line.startswith(_USELESS_LINES)]
                sys.stderr.write("".join(lines))
        interrupts.raise_if_pressed()
    logger.logger.setLevel(logging.WARNING)
    logger.set_level("WARNING")


def set_device(device: str) -> str:
    """Set Paddle's device and return its name.

    Args:
        device: "cpu", "gpu", "gpu:0", ..., or "auto" for a GPU if there is one.

    Raises:
        UserError: this machine or this build of Paddle does not have the device.
    """
    import paddle

    if device == "auto":
        device = "gpu" if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0 else "cpu"
    if device == "gpu" and not paddle.is_compiled_with_cuda():
        raise UserError(
            "device: gpu is asked for, but the installed paddlepaddle is the CPU build. Set device=cpu, or for the GPU"
            f" build: {install_hint('paddle', 'gpu')}"
        )
    try:
        paddle.set_device(device)
        return paddle.get_device()
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"device: {device} cannot be used here: {str(error).strip().splitlines()[-1]}") from None


def on_cpu() -> bool:
    """Return whether the CPU is Paddle's current device."""
    import paddle

    return paddle.get_device() == "cpu"


def peak_memory_mb() -> float:
    """Return the peak memory of this process in MB (10**6 bytes): allocated on the GPU if that is in use, else resident."""
    import paddle

    if paddle.get_device().startswith("gpu"):
        return paddle.device.cuda.max_memory_allocated() / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def peak_tensor_memory_mb() -> float:
    """Return the peak memory of tensors on the current device in MB since reset_peak_tensor_memory.

    In contrast to peak_memory_mb on a CPU, this leaves out the program itself, its libraries and the data set. So it is what the
    same computation needs on another device.
    """
    import paddle

    if paddle.get_device().startswith("gpu"):
        return paddle.device.cuda.max_memory_allocated() / 1e6
    return peak_cpu_bytes() / 1e6


def reset_peak_tensor_memory() -> None:
    """Let peak_tensor_memory_mb count from what tensors use now."""
    import paddle

    if paddle.get_device().startswith("gpu"):
        paddle.device.cuda.reset_max_memory_allocated()
    else:
        reset_peak_cpu_bytes()


def seed_everything(seed: int) -> None:
    """Seed the random generators of Python, NumPy and Paddle (on all devices)."""
    import numpy as np
    import paddle

    random.seed(seed)
    np.random.seed(seed % 2**32)
    paddle.seed(seed)
