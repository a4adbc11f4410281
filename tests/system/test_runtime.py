"""Test the settings made before paddle is imported: which are chosen, and that the user's own are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_ft.system import runtime


def settings(monkeypatch, **variables) -> dict:
    for name in (*runtime.CPU_VARIABLES, runtime.FREED_MEMORY):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores the present value after the test
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runtime.prepare_cpu()


def test_chosen_on_amd_and_elsewhere(monkeypatch):
    monkeypatch.setattr(runtime, "available_cpus", lambda: 3)
    monkeypatch.setattr(runtime, "has_gpu_build", lambda: False)
    monkeypatch.setattr(runtime, "mkl_cpu_type", lambda: "5")
    assert settings(monkeypatch) == {"OMP_NUM_THREADS": "3", "MKL_DEBUG_CPU_TYPE": "5", "FLAGS_use_stride_kernel": "0"}
    monkeypatch.setattr(runtime, "mkl_cpu_type", lambda: None)
    monkeypatch.setattr(runtime, "has_gpu_build", lambda: True)
    assert settings(monkeypatch) == {"OMP_NUM_THREADS": "3"}


@pytest.mark.parametrize(
    "vendor, flags, expected",
    [
        ("AuthenticAMD", "fpu avx avx2 avx512f avx512dq avx512cd avx512bw avx512vl", "7"),
        ("AuthenticAMD", "fpu avx avx2 avx512f avx512dq avx512cd avx512bw", "5"),
        ("AuthenticAMD", "fpu avx", None),
        ("GenuineIntel", "fpu avx avx2 avx512f avx512dq avx512cd avx512bw avx512vl", None),
    ],
)
def test_mkl_cpu_type_is_one_the_processor_has(monkeypatch, vendor, flags, expected):
    text = f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\nbugs\t\t: none avx512vl\n"
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert runtime.mkl_cpu_type() == expected


def test_the_settings_are_listed(monkeypatch):
    monkeypatch.setattr(runtime, "mkl_cpu_type", lambda: "7")
    monkeypatch.setattr(runtime, "available_cpus", lambda: 3)
    monkeypatch.setattr(runtime, "has_gpu_build", lambda: False)
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: True)
    settings(monkeypatch)
    chosen = ["OMP_NUM_THREADS=3", "MKL_DEBUG_CPU_TYPE=7", "FLAGS_use_stride_kernel=0"]
    assert runtime.cpu_settings() == [*chosen, "freed memory is kept"]
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: False)
    settings(monkeypatch)
    assert runtime.cpu_settings() == chosen


def test_the_users_own_settings_are_kept(monkeypatch):
    monkeypatch.setattr(runtime, "mkl_cpu_type", lambda: "7")
    chosen = settings(monkeypatch, OMP_NUM_THREADS="7", MKL_DEBUG_CPU_TYPE="4")
    assert chosen["OMP_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"] == "7"
    assert os.environ["MKL_DEBUG_CPU_TYPE"] == "4"


def test_cpus_follow_the_affinity_mask():
    program = (
        "import os; os.sched_setaffinity(0, {0})\nfrom paddle_ft.system.runtime import available_cpus; print(available_cpus())"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.stdout.strip() == "1", process.stderr


def test_a_quota_of_the_control_group_counts(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(runtime, "_cgroup_quota", lambda: 2.5)
    assert runtime.available_cpus() == 2
    monkeypatch.setattr(runtime, "_cgroup_quota", lambda: 0.5)
    assert runtime.available_cpus() == 1
    monkeypatch.setattr(runtime, "_cgroup_quota", lambda: None)
    assert runtime.available_cpus() == 8


@pytest.mark.parametrize("variables, kept", [({}, True), ({"MALLOC_TOP_PAD_": "0", "MALLOC_TRIM_THRESHOLD_": "131072"}, False)])
def test_memory_of_freed_arrays_is_used_again(variables, kept):
    """Make a hundred arrays of 2 MB. Each causes 488 page faults if its memory comes from the system."""
    program = """if True:
        import resource
        from paddle_ft.system.runtime import keep_freed_memory
        accepted = keep_freed_memory()
        import numpy as np
        np.ones(250_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(100):
            np.ones(250_000)
        print(accepted, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**environment, **variables})
    accepted, faults = process.stdout.split()
    assert accepted == str(kept), process.stderr
    if kept:  # with the user's variables it depends on the kernel's huge pages whether memory comes from the system each time
        assert int(faults) < 5000
