"""Upload files to the Hugging Face Hub with huggingface_hub.

All files become one commit, so a repository has either all of them or none. Large files are stored before the commit, by their
SHA-256: after an interruption, those that have arrived are not sent again. HF_ENDPOINT, which the SDK reads, names another server.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from paddle_ft.publishing.failures import Target, check_token, explain
from paddle_ft.publishing.files import PublishedFile
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

TIMEOUT = 30  # seconds for the first answer
LOAD = ", from_hf_hub=True, convert_from_torch=False"
NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", re.ASCII)


def find_target(repo: str) -> Target:
    """Return the repository of this name. Raise UserError for a name that the hub does not allow."""
    for part in repo.split("/"):
        if not NAME.fullmatch(part) or len(part) > 96 or part.endswith(".git"):
            raise UserError(
                f"--repo {repo}: {part!r} is no name on Hugging Face. A name has at most 96 letters, digits, '-', '_' and '.',"
                " without '--' and '..', and begins and ends with a letter or digit."
            )
    server = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return Target("Hugging Face", repo, server, "https://huggingface.co/settings/tokens", "HF_TOKEN")


def find_token(target: Target) -> str:
    """Return the token, from the environment or from the login. Raise UserError if there is none."""
    import huggingface_hub

    return check_token(target, huggingface_hub.get_token(), ", or log in once with: hf auth login")


def upload(target: Target, files: list[PublishedFile], public: bool, message: str) -> None:
    """Create the repository if it does not exist, and upload files in one commit.

    Args:
        target: the repository.
        files: what to upload. Files that have not changed are skipped.
        public: whether everybody may see the repository, if it is created now.
        message: the message of the commit.

    Raises:
        UserError: there is no token, the repository is public but `public` is not set, or the upload fails.
    """
    import huggingface_hub
    from huggingface_hub.utils import logging

    token = find_token(target)
    logging.set_verbosity_error()
    api = huggingface_hub.HfApi(endpoint=target.server, token=token)
    try:
        info = _open_repository(api, target, public)
        print_info(f"uploading to {target.url}")
        additions = [huggingface_hub.CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.path) for file in files]
        commit = api.create_commit(target.repo, additions, commit_message=message)
    except UserError:
        raise
    except Exception as error:  # the SDK lets errors of several libraries through
        if isinstance(error, OSError) and error.filename is not None:  # a file of this machine
            raise
        raise explain(target, error, token) from None
    if commit.oid == info.sha:
        print_info("nothing was sent: the repository has all files already")


def _open_repository(api: HfApi, target: Target, public: bool) -> ModelInfo:
    """Return what is known of a repository, which is created if it does not exist. Raise UserError if it must not be public."""
    info = _find_repository(api, target)
    if info is None:
        api.create_repo(target.repo, private=not public)
        print_info(f"created {target.repo}, {'public' if public else 'private'}")
        info = api.model_info(target.repo, timeout=TIMEOUT)
    elif info.private and public:
        print_info(f"{target.repo} exists and is private; it stays so. Its settings on {target.server} change that")
    if not info.private and not public:
        raise UserError(
            f"{target.url} is public: everybody would see this model. Nothing was uploaded. If that is meant, add --public;"
            " otherwise make the repository private in its settings, or name another with --repo."
        )
    return info


def _find_repository(api: HfApi, target: Target) -> ModelInfo | None:
    """Return what is known of a repository, or None if the token opens no repository of this name."""
    from huggingface_hub.utils import RepositoryNotFoundError

    try:
        return api.model_info(target.repo, timeout=TIMEOUT)
    except RepositoryNotFoundError:
        return None
