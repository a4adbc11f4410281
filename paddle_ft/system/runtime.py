"""Set up the processor before paddle is imported; devices, memory figures and seeds afterwards.

This module imports nothing heavy: the command line and the benchmarks call `prepare_cpu()` before anything else.
"""

from __future__ import annotations

import importlib.metadata
import os
import random
from pathlib import Path

from paddle_ft.system.errors import UserError

CPU_VARIABLES = ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "FLAGS_use_stride_kernel")
FREED_MEMORY = "PADDLE_FT_FREED_MEMORY"  # "kept" in the environment once prepare_cpu has told glibc so


def available_cpus() -> int:
    """Return how many cores this process may use: those of its affinity mask, but no more than the control group's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is not None:
        cores = min(cores, max(1, int(quota)))
    return cores


def _cgroup_quota() -> float | None:
    """Return the CPU quota of the control group (version 2, then 1) in cores, None where there is none."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        period = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
        return None if limit <= 0 else limit / period
    except (OSError, ValueError):
        return None


def mkl_path() -> str | None:
    """Return the MKL_DEBUG_CPU_TYPE for this processor, None where MKL needs none (everywhere but on AMD).

    Paddle's bundled MKL (2019) knows only Intel's processors and runs its slowest code on AMD's. The variable names the code to
    run instead: 7 is AVX-512, 5 is AVX2. docs/speed.md has the speed of each.
    """
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    if "AuthenticAMD" not in described:
        return None
    flags = set(described.partition("flags")[2].partition("\n")[0].split())
    if {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "7"
    return "5" if "avx2" in flags else None


def has_gpu_build() -> bool:
    """Return whether the installed Paddle is built for GPUs, without importing it."""
    try:
        importlib.metadata.version("paddlepaddle-gpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def prepare_cpu() -> dict[str, str]:
    """Set thread counts and MKL's fast path in the environment, except what the user has set.

    Call it before paddle or numpy is imported: MKL and OpenMP read these variables once.

    Returns:
        Name -> value of the variables that matter on this machine, whoever set them.
    """
    os.environ.pop(FREED_MEMORY, None)  # a parent process's
    chosen = {"OMP_NUM_THREADS": str(available_cpus())}
    if (path := mkl_path()) is not None:
        chosen["MKL_DEBUG_CPU_TYPE"] = path
    if not has_gpu_build():
        chosen["FLAGS_use_stride_kernel"] = "0"  # strided views cost a CPU more than the copies they save
        if keep_freed_memory():
            os.environ[FREED_MEMORY] = "kept"
    for name, value in chosen.items():
        os.environ.setdefault(name, value)
    # tokenizers switches its threads off after a fork and warns about it, unless this is set
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    return {name: os.environ[name] for name in chosen}


def cpu_settings() -> list[str]:
    """Return the CPU set-up as the first line of a training prints it: "OMP_NUM_THREADS=8", "freed memory is kept", ..."""
    settings = [f"{name}={os.environ[name]}" for name in CPU_VARIABLES if name in os.environ]
    return [*settings, "freed memory is kept"] if keeps_freed_memory() else settings


def keeps_freed_memory() -> bool:
    """Return whether prepare_cpu has had glibc keep freed memory."""
    return FREED_MEMORY in os.environ


def keep_freed_memory() -> bool:
    """Tell glibc to keep the memory of freed arrays for the next ones, unless the user has set its thresholds.

    By default glibc gives an array above 128 kB to 32 MB back to the system, and fetches the next one page by page.
    docs/speed.md has the time that this costs a training step.

    Returns:
        Whether glibc took the settings.
    """
    import ctypes

    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, or another system
        return False
    # older versions accept no threshold above 32 MB
    accepted = mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20)
    return bool(accepted and mallopt(trim_threshold, (1 << 31) - 1) and mallopt(top_pad, 64 << 20))


_USELESS_LINES = ("WARNING: OMP_NUM_THREADS set to", "PLEASE USE OMP_NUM_THREADS WISELY")


def import_frameworks_quietly() -> None:
    """Import paddle and paddlenlp without the warnings that mean nothing to a user (ccache, setuptools, threads)."""
    import contextlib
    import io
    import logging
    import sys
    import warnings

    warnings.filterwarnings("ignore", message="No ccache found")
    warnings.filterwarnings("ignore", message="Setuptools is replacing distutils")
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ.setdefault("GLOG_minloglevel", "2")
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output):
            import paddle  # noqa: F401
            from paddlenlp.utils.log import logger
    finally:
        lines = [line for line in output.getvalue().splitlines(keepends=True) if not line.startswith(_USELESS_LINES)]
        sys.stderr.write("".join(lines))
    logger.logger.setLevel(logging.WARNING)
    logger.set_level("WARNING")


def set_device(device: str) -> str:
    """Set Paddle's device and return its name.

    Args:
        device: "cpu", "gpu", "gpu:0", ... or "auto", a GPU if there is one.

    Raises:
        UserError: this machine or this build of Paddle has no such device.
    """
    import paddle

    if device == "auto":
        device = "gpu" if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0 else "cpu"
    if device == "gpu" and not paddle.is_compiled_with_cuda():
        raise UserError(
            "device: gpu is asked for, but the installed paddlepaddle is the CPU build. Install requirements-gpu.txt"
            " (see README), or set device=cpu."
        )
    try:
        paddle.set_device(device)
        return paddle.get_device()
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"device: {device} cannot be used here: {str(error).strip().splitlines()[-1]}") from None


def on_cpu() -> bool:
    """Return whether Paddle computes on the CPU now."""
    import paddle

    return paddle.get_device() == "cpu"


def peak_memory_mb() -> float:
    """Return peak memory in MB (10**6 bytes): allocated on the GPU where one is used, else resident in the process."""
    import paddle

    if paddle.get_device().startswith("gpu"):
        return paddle.device.cuda.max_memory_allocated() / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and Paddle (all devices)."""
    import numpy as np
    import paddle

    random.seed(seed)
    np.random.seed(seed % 2**32)
    paddle.seed(seed)
