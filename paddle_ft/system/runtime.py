"""What must be set before paddle is imported, in one place; devices and seeds afterwards.

This module imports nothing heavy: train.py, the command line and the tests call `prepare_cpu()` first of all.
"""

from __future__ import annotations

import importlib.metadata
import os
import random
from pathlib import Path

from paddle_ft.system.errors import UserError

CPU_SETTINGS = ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "FLAGS_use_stride_kernel")
memory_kept = False  # whether prepare_cpu had freed memory kept


def available_cpus() -> int:
    """Cores this process may really use: the affinity mask, cut down by a cgroup quota (v2, then v1)."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is not None:
        cores = min(cores, max(1, int(quota)))
    return cores


def _cgroup_quota() -> float | None:
    """CPU quota of the control group in cores, None where there is none."""
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
    """The MKL_DEBUG_CPU_TYPE for this processor: None where MKL needs none, which is everywhere but on AMD.

    Paddle's bundled MKL (2019) knows Intel's processors alone, and takes its oldest code on an AMD one. The setting names the
    code to take instead: 7 AVX-512, 5 AVX2. docs/speed.md has what each brings.
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
    """Whether the installed Paddle is one for GPUs, told without importing it."""
    try:
        importlib.metadata.version("paddlepaddle-gpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def prepare_cpu() -> dict[str, str]:
    """Sets thread counts and MKL's fast path in the environment, unless the user has set them.

    Must run before paddle or numpy is imported: MKL and OpenMP read these once.

    Returns: the settings in force, name -> value.
    """
    chosen = {"OMP_NUM_THREADS": str(available_cpus())}
    if (path := mkl_path()) is not None:
        chosen["MKL_DEBUG_CPU_TYPE"] = path
    if not has_gpu_build():
        chosen["FLAGS_use_stride_kernel"] = "0"  # strided views cost a CPU more than the copies they save
        global memory_kept
        memory_kept = keep_freed_memory()
    for name, value in chosen.items():
        os.environ.setdefault(name, value)
    # paddlenlp and tokenizers: no thread pool that fights the one above, no warning about forks
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    return {name: os.environ[name] for name in chosen}


def settings_in_force() -> list[str]:
    """What a run's header says of the set-up for a CPU."""
    chosen = [f"{name}={os.environ[name]}" for name in CPU_SETTINGS if name in os.environ]
    return [*chosen, *(["freed memory is kept"] if memory_kept else [])]


def keep_freed_memory() -> bool:
    """Tells glibc to keep the memory of freed arrays for the next ones, unless the user has set its thresholds. Returns whether.

    By default every array above 128 kB to 32 MB is given back to the system and fetched again, page by page (docs/speed.md has
    what that costs a step of training).
    """
    import ctypes

    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, or another system
        return False
    # older versions take no threshold above 32 MB
    taken = mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20)
    return bool(taken and mallopt(trim_threshold, (1 << 31) - 1) and mallopt(top_pad, 64 << 20))


_CHATTER = ("WARNING: OMP_NUM_THREADS set to", "PLEASE USE OMP_NUM_THREADS WISELY")


def quiet_frameworks() -> None:
    """Imports paddle and paddlenlp, keeping off the terminal what says nothing to a user (ccache, setuptools, threads)."""
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
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            import paddle  # noqa: F401
            from paddlenlp.utils.log import logger
    finally:
        kept = [line for line in said.getvalue().splitlines(keepends=True) if not line.startswith(_CHATTER)]
        sys.stderr.write("".join(kept))
    logger.logger.setLevel(logging.WARNING)
    logger.set_level("WARNING")


def choose_device(wanted: str) -> str:
    """Sets and returns Paddle's device: "cpu", "gpu:0", ... Raises UserError for a device this machine or build lacks."""
    import paddle

    if wanted == "auto":
        wanted = "gpu" if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0 else "cpu"
    if wanted == "gpu" and not paddle.is_compiled_with_cuda():
        raise UserError(
            "device: gpu is asked for, but the installed paddlepaddle is the CPU build. Install requirements-gpu.txt"
            " (see README), or set device=cpu."
        )
    try:
        paddle.set_device(wanted)
        return paddle.get_device()
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"device: {wanted} cannot be used here: {str(error).strip().splitlines()[-1]}") from None


def on_cpu() -> bool:
    import paddle

    return paddle.get_device() == "cpu"


def peak_memory_mb() -> float:
    """Peak memory in MB (10**6 bytes): allocated on the GPU where one is used, else resident in the process."""
    import paddle

    if paddle.get_device().startswith("gpu"):
        return paddle.device.cuda.max_memory_allocated() / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and Paddle (all devices)."""
    import numpy as np
    import paddle

    random.seed(seed)
    np.random.seed(seed % 2**32)
    paddle.seed(seed)
