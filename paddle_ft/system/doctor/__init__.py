"""The checks of `python -m paddle_ft doctor`: this machine, the installation, and a remedy for each problem.

Only the standard library is imported here, so that a broken installation can be checked too. paddle and paddlenlp are imported
last and in a separate process, so a crash there becomes one line of the report.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from convert.files import cache_folder
from paddle_ft.system import installation
from paddle_ft.system.doctor import ai_studio, facts, verdicts
from paddle_ft.system.doctor.verdicts import ERROR, WARNING, Check
from paddle_ft.system.files import to_json
from paddle_ft.system.runtime import available_cpus, is_freed_memory_kept, mkl_cpu_type, say_loading


def run(as_json: bool = False) -> int:
    """Run all checks and print each result as soon as it is known.

    Args:
        as_json: print one JSON object after the last check instead.

    Returns:
        The exit code: 1 if any check found an error, else 0.
    """
    results = []
    for check in checks():
        results.append(check)
        if not as_json:
            print(f"{check.level:<8} {check.name:<14} {check.text}", flush=True)
            if check.remedy:
                print(f"{'':<23} -> {check.remedy}", flush=True)
    errors, warnings = (sum(check.level == level for check in results) for level in (ERROR, WARNING))
    if as_json:
        report = {"errors": errors, "warnings": warnings, "checks": [asdict(check) for check in results]}
        print(to_json(report, indent=2))
    else:
        print(f"\nerrors: {errors}, warnings: {warnings}")
    return 1 if errors else 0


def checks() -> Iterator[Check]:
    """Yield the results of all checks, the quick ones first. On AI Studio no remedy replaces the image's Paddle."""
    packages = installation.ai_studio_packages()
    for check in _checks(is_ai_studio=packages is not None):
        yield ai_studio.with_safe_remedy(check, packages) if packages else check


def _checks(is_ai_studio: bool) -> Iterator[Check]:
    home = installation.AI_STUDIO_HOME
    is_project = home.is_dir()
    yield verdicts.check_python(sys.version_info[:3], sys.executable)
    yield verdicts.check_threads(available_cpus(), os.environ.get("OMP_NUM_THREADS"))
    yield verdicts.check_mkl(mkl_cpu_type(), os.environ.get("MKL_DEBUG_CPU_TYPE"))
    yield verdicts.check_freed_memory(is_freed_memory_kept())
    if not is_project:
        yield Check(verdicts.OK, "AI Studio", "a script task" if is_ai_studio else "no")
    for name, folder in (("working folder", Path.cwd()), ("cache folder", cache_folder())):
        if is_project:
            yield ai_studio.check_folder(name, folder, home)
        yield verdicts.check_write(name, folder, facts.write_error(folder))
        disk = facts.existing_folder(folder)
        yield verdicts.check_disk(name, disk, shutil.disk_usage(disk).free)
    yield verdicts.check_shared_memory(facts.shared_memory())
    versions = facts.installed_versions()
    yield from verdicts.check_packages(versions, facts.pinned_versions(installation.SOURCE_TREE))
    yield from verdicts.check_pairs(versions)
    yield verdicts.check_rhymes(versions)
    cards = facts.nvidia_cards()
    yield verdicts.check_driver(cards)
    say_loading()
    import_facts, problem = facts.probe_import()
    yield from verdicts.check_import(import_facts, problem, cards)
