"""From a name to a directory: local ones as they are, ids of the Hugging Face hub by download into the cache.

What is needed goes to <cache>/hub/<org>--<name>/, where <cache> is $PADDLE_FT_HOME or ~/.cache/paddle_ft; another revision
than the default one gets a folder of its own. Files that lie there already are used, however they came there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from convert.errors import ConvertError
from convert.tensors import SAFETENSORS, TORCH_BIN, read_json
from convert.tokenization import SETTINGS, VOCABULARIES

ENDPOINT = "https://huggingface.co"
ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
SMALL = ("generation_config.json", *VOCABULARIES, *SETTINGS)
TIMEOUT = 10  # seconds until a server that does not answer counts as unreachable


def cache_folder() -> Path:
    """$PADDLE_FT_HOME or ~/.cache/paddle_ft."""
    return Path(os.environ.get("PADDLE_FT_HOME") or Path.home() / ".cache" / "paddle_ft").expanduser()


def resolve(src: str | Path, revision: str | None = None) -> Path:
    """The directory of a checkpoint: `src` itself, or a complete download of the hub's repository of that id.

    Interrupted downloads resume; HF_ENDPOINT names a mirror; HF_TOKEN (or HUGGING_FACE_HUB_TOKEN) opens private repositories.
    Raises: ConvertError naming every URL, the checksum where known, and the folder to put the files into by hand.
    """
    if str(src) and Path(src).expanduser().is_dir():
        if revision:
            raise ConvertError(f"{src} is a directory here; a revision belongs to a repository of the hub")
        return Path(src).expanduser()
    name = str(src)
    if not ID.match(name) or ".." in name:
        raise ConvertError(f"{src}: neither a directory here nor an id of the Hugging Face hub (organisation/name)")
    folder = cache_folder() / "hub" / (name.replace("/", "--") + (f"@{revision.replace('/', '--')}" if revision else ""))
    if not _complete(folder):
        _download(name, revision or "main", folder)
    return folder


def _complete(folder: Path) -> bool:
    """Whether the folder holds a configuration and all the weights it speaks of."""
    if not (folder / "config.json").is_file():
        return False
    if (folder / ".incomplete").exists():
        return False
    return any((folder / name).is_file() for name in (SAFETENSORS, TORCH_BIN)) or any(
        (folder / f"{name}.index.json").is_file()
        and all((folder / shard).is_file() for shard in read_json(folder / f"{name}.index.json")["weight_map"].values())
        for name in (SAFETENSORS, TORCH_BIN)
    )


def _download(name: str, revision: str, folder: Path) -> None:
    endpoint = os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/")
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(TIMEOUT))
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(TIMEOUT))
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.utils import HfHubHTTPError

    wanted, checksums = {"config.json": None, SAFETENSORS: None}, {}
    try:
        info = HfApi(endpoint=endpoint, token=token).model_info(name, revision=revision, files_metadata=True, timeout=TIMEOUT)
        there = {file.rfilename: file for file in info.siblings or []}
        wanted = dict.fromkeys(_choose(list(there), name))
        checksums = {file: there[file].lfs.sha256 for file in wanted if there[file].lfs}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".incomplete").touch()
        print(f"downloading {name} ({revision}) from {endpoint} into {folder}", flush=True)
        for file in wanted:
            hf_hub_download(name, file, revision=info.sha, local_dir=folder, endpoint=endpoint, token=token)
        for file, digest in checksums.items():
            _check(folder / file, digest)
        (folder / ".source.json").write_text(json.dumps({"id": name, "revision": revision, "commit": info.sha}))
        (folder / ".incomplete").unlink()
    except ConvertError:
        raise
    except Exception as error:  # the library lets errors of several HTTP libraries through
        reason = f"{endpoint} cannot be reached: {type(error).__name__}"
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, HfHubHTTPError) and status:
            reason = f"{endpoint} answered {status}; 401, 403 or 404: no such repository or revision, or HF_TOKEN does not open it"
        raise ConvertError(_by_hand(name, revision, folder, endpoint, wanted, checksums, reason)) from None


def _choose(there: list[str], name: str) -> list[str]:
    """Which of the repository's files are needed: one format of weights, the configuration and the tokenizer's."""
    for weights in (SAFETENSORS, f"{SAFETENSORS}.index.json", TORCH_BIN, f"{TORCH_BIN}.index.json"):
        if weights in there:
            stem, ending = weights.removesuffix(".index.json").rsplit(".", 1)
            shards = [file for file in there if re.fullmatch(rf"{stem}-\d+-of-\d+\.{ending}", file)]
            chosen = [weights, *(shards if weights.endswith("index.json") else [])]
            return ["config.json", *(file for file in SMALL if file in there), *chosen]
    raise ConvertError(f"{name}: the repository has neither {SAFETENSORS} nor {TORCH_BIN}; other formats are not supported")


def _check(path: Path, digest: str) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)
    if found != digest:
        path.unlink()
        raise ConvertError(f"{path}: sha256 {found}, the hub says {digest}; the file was removed, try again")


def _sha256(file) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 22):
        digest.update(block)
    return digest.hexdigest()


def _by_hand(name: str, revision: str, folder: Path, endpoint: str, wanted: dict, checksums: dict, reason: str) -> str:
    lines = [f"{name} is neither a directory here nor could it be downloaded ({reason}).", f"Put these files into {folder}:"]
    for file in wanted:
        checksum = f"  (sha256 {checksums[file]})" if file in checksums else ""
        lines.append(f"  {endpoint}/{name}/resolve/{revision}/{file}{checksum}")
    if not checksums:
        lines.append(f"  (or {TORCH_BIN} in place of {SAFETENSORS})")
        lines.append("and, for the tokenizer and for generation, those of these that the repository has:")
        lines += [f"  {endpoint}/{name}/resolve/{revision}/{file}" for file in SMALL]
    lines.append("HF_ENDPOINT names a mirror, HF_TOKEN opens private repositories, PADDLE_FT_HOME moves the cache.")
    return "\n".join(lines)


def cached(src: str | Path, *, task: str = "auto", revision: str | None = None) -> Path:
    """The conversion of `src` to Paddle in the cache folder, made on the first call; see convert.cached."""
    from convert.config import KEPT
    from convert.family import family_of
    from convert.forward import to_paddle

    directory = resolve(src, revision)
    name = re.sub(r"[^\w.-]+", "--", str(src)).strip("-")[-60:]
    target = cache_folder() / "converted" / f"{name}-{task}-{_identity(directory)}"
    if not target.is_dir():
        print(f"converting {src} to Paddle, once, into {target}", flush=True)
        try:
            to_paddle(directory, target, task=task, name=str(src))
        except ConvertError:
            if not target.is_dir():  # else another process was faster
                raise
    kept = read_json(target / "config.json")[KEPT]
    if kept["untied"]:
        raise ConvertError(f"{src}: {family_of(kept['config'], str(src), paddle=False).task(kept['task'], untied=True).note}")
    return target


def _identity(directory: Path) -> str:
    """Changes when a file of the directory does: a digest of the small files' contents, and of the large ones' size and time."""
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            status = path.stat()
            content = path.read_bytes() if path.suffix == ".json" else f"{status.st_size} {status.st_mtime_ns}".encode()
            digest.update(f"{path.name}\0".encode() + content + b"\0")
    return digest.hexdigest()[:16]
