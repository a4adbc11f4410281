"""Find a checkpoint, download it from the Hugging Face hub if needed, and cache converted checkpoints.

Downloads go to <cache>/hub/<org>--<name>/, where <cache> is $PADDLE_FT_HOME or ~/.cache/paddle_ft. Each revision other than the
default has its own folder. Existing files are used, so they can also be copied there by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from convert.adapter import is_adapter, named_base
from convert.config import ORIGINAL_KEY
from convert.errors import ConvertError
from convert.families import check_task, load_families
from convert.files import cache_folder, file_digest, read_json
from convert.identify import paddle_family
from convert.request import Request
from convert.tensors import SAFETENSORS, TORCH_BIN, read_weight_map
from convert.terminal import message
from convert.tokenizers.files import SETTINGS, VOCABULARIES
from convert.write_paddle import write_paddle

ENDPOINT = "https://huggingface.co"
ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
SMALL_FILES = ("generation_config.json", *VOCABULARIES, *SETTINGS)
TIMEOUT = 10  # seconds to wait for an answer of the server


def resolve_checkpoint(src: str | Path, revision: str | None = None) -> Path:
    """Return `src` if it is a directory, else the folder with a complete download of the hub's repository.

    Interrupted downloads resume. HF_ENDPOINT sets a mirror, and HF_TOKEN (or HUGGING_FACE_HUB_TOKEN) is used for private
    repositories.

    Args:
        src: A directory or a hub id.
        revision: Branch, tag or commit of the repository; None for the default one.

    Raises:
        ConvertError: The download failed. The message lists every URL, its checksum if known, and the folder for the files.
    """
    if str(src) and Path(src).expanduser().is_dir():
        if revision:
            raise ConvertError(f"{src} is a directory; only a repository of the hub has revisions")
        return Path(src).expanduser()
    name = str(src)
    if not ID.match(name) or ".." in name:
        raise ConvertError(f"{src}: neither a directory here nor an id of the Hugging Face hub (organisation/name)")
    folder = cache_folder() / "hub" / (name.replace("/", "--") + (f"@{revision.replace('/', '--')}" if revision else ""))
    if not _complete(folder):
        _download(name, revision or "main", folder)
    return folder


def _complete(folder: Path) -> bool:
    """Return whether a folder has a configuration and all weights, and no download into it was interrupted."""
    if not (folder / "config.json").is_file() or (folder / ".incomplete").exists():
        return False
    return any((folder / name).is_file() for name in (SAFETENSORS, TORCH_BIN)) or any(
        (folder / f"{name}.index.json").is_file()
        and all(os.path.isfile(folder / shard) for shard in set(read_weight_map(folder / f"{name}.index.json").values()))
        for name in (SAFETENSORS, TORCH_BIN)
    )


def _download(name: str, revision: str, folder: Path) -> None:
    """Download the needed files of a repository into a folder."""
    endpoint = os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/")
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(TIMEOUT))
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(TIMEOUT))
    from huggingface_hub import HfApi, hf_hub_download

    files, checksums = ["config.json", SAFETENSORS], {}
    try:
        info = HfApi(endpoint=endpoint, token=token).model_info(name, revision=revision, files_metadata=True, timeout=TIMEOUT)
        repository = {file.rfilename: file for file in info.siblings or []}
        files = list(dict.fromkeys(_needed_files(list(repository), name)))
        checksums = {file: lfs.sha256 for file in files if (lfs := repository[file].lfs)}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".incomplete").touch()
        print(message(f"downloading {name} ({revision}) from {endpoint} into {folder}"), flush=True)
        for file in files:
            hf_hub_download(name, file, revision=info.sha, local_dir=folder, endpoint=endpoint, token=token)
        for file, checksum in checksums.items():
            _check_download(folder / file, checksum)
        (folder / ".source.json").write_text(json.dumps({"id": name, "revision": revision, "commit": info.sha}))
        (folder / ".incomplete").unlink()
    except ConvertError:
        raise
    except Exception as error:  # huggingface_hub lets errors of several HTTP libraries through
        reason = _failure_reason(error, endpoint)
        raise ConvertError(_manual_instructions(name, revision, folder, endpoint, files, checksums, reason)) from None


def _failure_reason(error: Exception, endpoint: str) -> str:
    from huggingface_hub.utils import HfHubHTTPError

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, HfHubHTTPError) and status:
        return f"{endpoint} answered {status}; 401, 403 or 404: no such repository or revision, or HF_TOKEN does not open it"
    return f"{endpoint} cannot be reached: {type(error).__name__}"


def _needed_files(repository: Sequence[str], name: str) -> list[str]:
    """Return the needed files of a repository: configuration, tokenizer, and the weights in one format."""
    for weights in (SAFETENSORS, f"{SAFETENSORS}.index.json", TORCH_BIN, f"{TORCH_BIN}.index.json"):
        if weights in repository:
            stem, ending = weights.removesuffix(".index.json").rsplit(".", 1)
            shards = [file for file in repository if re.fullmatch(rf"{stem}-\d+-of-\d+\.{ending}", file)]
            chosen = [weights, *(shards if weights.endswith("index.json") else [])]
            return ["config.json", *(file for file in SMALL_FILES if file in repository), *chosen]
    raise ConvertError(f"{name}: the repository has neither {SAFETENSORS} nor {TORCH_BIN}; other formats are not supported")


def _check_download(path: Path, checksum: str) -> None:
    """Compare a downloaded file with the hub's sha256, and remove it if it differs."""
    actual = file_digest(path)
    if actual != checksum:
        path.unlink()
        raise ConvertError(f"{path}: sha256 {actual}, the hub says {checksum}; the file was removed, try again")


def _manual_instructions(
    name: str, revision: str, folder: Path, endpoint: str, files: Iterable[str], checksums: dict[str, str], reason: str
) -> str:
    """Return a message that lists the files to download by hand and the folder for them."""
    lines = [f"{name} is neither a directory here nor could it be downloaded ({reason}).", f"Put these files into {folder}:"]
    for file in files:
        checksum = f"  (sha256 {checksums[file]})" if file in checksums else ""
        lines.append(f"  {endpoint}/{name}/resolve/{revision}/{file}{checksum}")
    if not checksums:
        lines.append(f"  (or {TORCH_BIN} instead of {SAFETENSORS})")
        lines.append("and, for tokenizer and generation, those of the following files that the repository has:")
        lines += [f"  {endpoint}/{name}/resolve/{revision}/{file}" for file in SMALL_FILES]
    lines.append("Set HF_ENDPOINT for a mirror, HF_TOKEN for private repositories, PADDLE_FT_HOME for another cache folder.")
    return "\n".join(lines)


def cached_conversion(src: str | Path, *, task: str = "auto", revision: str | None = None, imports: Sequence[str] = ()) -> Path:
    """Return the cached conversion of `src` to Paddle, converted on the first call; see convert.cached."""
    families = load_families(imports)
    check_task(task, families)
    directory = resolve_checkpoint(src, revision)
    name = re.sub(r"[^\w.-]+", "--", str(src)).strip("-")[-60:]
    base = named_base(directory) if is_adapter(directory) else None
    target = cache_folder() / "converted" / f"{name}-{task}-{_fingerprint([directory, *([base] if base else [])], imports)}"
    if not target.is_dir():
        print(message(f"converting {src} to Paddle, once, into {target}"), flush=True)
        try:
            write_paddle(directory, target, families, Request(task), source_name=str(src))
        except ConvertError:
            if not target.is_dir():  # otherwise another process was faster
                raise
    config = read_json(target / "config.json")
    original = config[ORIGINAL_KEY]
    if original["untied"]:
        family = paddle_family(config, str(target / "config.json"), families)
        raise ConvertError(f"{src}: {family.task(original['task'], untied=True).note}")
    return target


def _fingerprint(directories: Iterable[Path], imports: Sequence[str]) -> str:
    """Return a digest that changes when a file of the directories, or an imported module with families, changes.

    It covers the contents of JSON files and modules, and the size and time of the other files, which are large.
    """
    digest = hashlib.sha256()
    for path in (path for directory in directories for path in sorted(directory.iterdir())):
        if path.is_file() and not path.name.startswith("."):
            status = path.stat()
            content = path.read_bytes() if path.suffix == ".json" else f"{status.st_size} {status.st_mtime_ns}".encode()
            digest.update(f"{path.name}\0".encode() + content + b"\0")
    for name in imports:
        digest.update(name.encode() + Path(sys.modules[name].__file__ or "").read_bytes())
    return digest.hexdigest()[:16]
