"""A local server with the endpoints of both model hubs that an upload needs: Hugging Face's, and AI Studio's with its git host.

It follows what huggingface_hub 0.36 and aistudio_sdk 0.2.6 send and read. It stores what it receives, and can cut connections and
answer with errors.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "hub_token_0123456789"
LFS = (".safetensors", "vocab.txt")  # endings of the files that the hubs store as large files


def git_hash(content: bytes) -> str:
    """Return the hash of a file in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class StubHubs:
    """The server. Use it as a context manager.

    Attributes:
        repos: name of a repository -> {"private": ..., "files": name -> content, or the SHA-256 of a large file}.
        objects: SHA-256 -> content of the large files that arrived completely.
        requests: "METHOD path" of each request.
        uploads: SHA-256 of each large file whose upload began, in order.
        cut: number of the next uploads of large files whose connection is cut in the middle.
        hold: keep the next upload of a large file waiting in the middle, until the client has gone.
        held: set when an upload waits.
        answers: beginning of "METHOD path" -> (status, text) to answer instead. Status 0 cuts the connection.
    """

    def __init__(self):
        self.reset()
        stub = self

        class Handler(_Handler):
            hubs = stub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def reset(self) -> None:
        """Forget everything that was sent and set."""
        self.repos: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.uploads: list[str] = []
        self.cut = 0
        self.hold = False
        self.held = threading.Event()
        self.answers: dict[str, tuple[int, str]] = {}
        self.bodies: dict[str, Any] = {}

    def __enter__(self) -> StubHubs:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def content(self, repo: str) -> dict[str, bytes]:
        """Return the files of a repository as somebody who downloads them gets them."""
        files = self.repos[repo]["files"]
        return {name: self.objects[value] if isinstance(value, str) else value for name, value in files.items()}


class _Handler(BaseHTTPRequestHandler):
    hubs: StubHubs

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_any(self) -> None:
        hubs, path = self.hubs, unquote(self.path.partition("?")[0])
        request = f"{self.command} {path}"
        hubs.requests.append(request)
        answer = next((answer for beginning, answer in hubs.answers.items() if request.startswith(beginning)), None)
        if self.command == "PUT" and path.startswith("/lfs/") and answer is None:
            return self.receive_large(path.removeprefix("/lfs/"))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if answer is not None:
            self.close_connection = answer[0] == 0
            return None if self.close_connection else self.answer(*answer)
        if TOKEN not in (self.headers.get("Authorization") or ""):
            return self.answer(401, {"error": "Invalid username or password."})
        hubs.bodies[request] = body
        for pattern, method in ROUTES.items():
            if match := re.fullmatch(pattern, request):
                return getattr(self, method)(*match.groups(), body)
        return self.answer(500, f"the stub does not know {request}")

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def answer(self, status: int, content: Any, **headers: str) -> None:
        data = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    # ---------------------------------------------------------------------------------------- large files, on both hubs
    def batch(self, repo: str, body: bytes) -> None:
        (entries, url) = json.loads(body)["objects"], self.hubs.url
        for entry in entries:
            if entry["oid"] not in self.hubs.objects:
                entry["actions"] = {"upload": {"href": f"{url}/lfs/{entry['oid']}"}, "verify": {"href": f"{url}/verify"}}
        self.answer(200, {"transfer": "basic", "objects": entries})

    def receive_large(self, oid: str) -> None:
        hubs, size = self.hubs, int(self.headers["Content-Length"])
        hubs.uploads.append(oid)
        if hubs.hold:
            self.rfile.read(size // 2)
            hubs.hold = False
            hubs.held.set()
            self.rfile.read(size)  # until the client has gone
            return
        if hubs.cut:
            hubs.cut -= 1
            self.rfile.read(size // 2)
            self.close_connection = True
            self.connection.close()
            return
        content = self.rfile.read(size)
        if len(content) == size and hashlib.sha256(content).hexdigest() == oid:
            hubs.objects[oid] = content
            self.answer(200, "", Content_Md5="x")
        else:
            self.answer(400, "not the announced content")

    def verify(self, body: bytes) -> None:
        known = json.loads(body)["oid"] in self.hubs.objects
        self.answer(200 if known else 404, {"message": "" if known else "no such object"})

    def download(self, repo: str, name: str, body: bytes) -> None:
        content = self.hubs.content(repo).get(name)
        if content is None:
            return self.answer(404, "", X_Error_Code="EntryNotFound")
        return self.answer(200, content, ETag=f'"{git_hash(content)}"', X_Repo_Commit="0" * 40)

    # ----------------------------------------------------------------------------------------------------- Hugging Face
    def hf_info(self, repo: str, body: bytes) -> None:
        if repo not in self.hubs.repos:
            return self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        found = self.hubs.repos[repo]
        return self.answer(200, {"id": repo, "private": found["private"], "sha": found.get("sha", "0" * 40), "siblings": []})

    def hf_create(self, body: bytes) -> None:
        sent = json.loads(body)
        repo = f"{sent['organization']}/{sent['name']}"
        if repo in self.hubs.repos:
            return self.answer(409, {"error": "You already created this model repo"})
        self.hubs.repos[repo] = {"private": sent["private"], "files": {}}
        return self.answer(200, {"url": f"{self.hubs.url}/{repo}"})

    def hf_validate(self, body: bytes) -> None:
        self.answer(200, {"errors": [], "warnings": []})

    def hf_preupload(self, repo: str, body: bytes) -> None:
        files = self.hubs.repos[repo]["files"]
        names = [file["path"] for file in json.loads(body)["files"]]
        self.answer(200, {"files": [
            {"path": name, "uploadMode": "lfs" if name.endswith(LFS) else "regular", "shouldIgnore": False,
             "oid": (value if isinstance(value := files[name], str) else git_hash(value)) if name in files else None}
            for name in names
        ]})  # fmt: skip

    def hf_commit(self, repo: str, body: bytes) -> None:
        found = self.hubs.repos[repo]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                found["files"][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                found["files"][value["path"]] = value["oid"]
        found["sha"] = hashlib.sha1(body).hexdigest()
        self.answer(200, {"commitUrl": f"{self.hubs.url}/{repo}/commit/{found['sha']}", "commitOid": found["sha"]})

    # -------------------------------------------------------------------------------------------------------- AI Studio
    def ai_create(self, body: bytes) -> None:
        sent = json.loads(body)
        repo = f"me/{sent['repoName']}"  # whose repository it is follows from the token
        if repo in self.hubs.repos:
            return self.answer(200, {"errorCode": 4001, "errorMsg": "repo already created", "logId": "1"})
        self.hubs.repos[repo] = {"private": sent["repoType"] == 0, "files": {}}
        return self.answer(200, {"errorCode": 0, "result": sent})

    def ai_info(self, repo: str, body: bytes) -> None:
        found = self.hubs.repos.get(repo)
        self.answer(200 if found else 404, {"private": found["private"]} if found else {"message": "not found"})

    def ai_preupload(self, repo: str, body: bytes) -> None:
        if repo not in self.hubs.repos:
            return self.answer(404, {"message": "not found"})
        return self.answer(200, {"files": [{"path": file["path"], "lfs": file["path"].endswith(LFS)}
                                           for file in json.loads(body)["files"]]})  # fmt: skip

    def ai_contents(self, method: str, repo: str, name: str, body: bytes) -> None:
        files = self.hubs.repos.get(repo, {}).get("files", {})
        if isinstance(stored := files.get(name), str):
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{stored}\nsize {len(self.hubs.objects[stored])}"
            stored = pointer.encode()
        if method == "GET":
            known = stored is not None
            size = len(self.hubs.content(repo)[name]) if known else 0
            found = {"sha": git_hash(stored or b""), "size": size, "last_commit_sha": "0" * 40, "git_url": ""}
            return self.answer(200 if known else 404, found if known else {"message": "not found"})
        sent = json.loads(body)
        if (method == "PUT") != (stored is not None) or (stored is not None and sent["sha"] != git_hash(stored)):
            return self.answer(422, {"message": "the file exists, does not exist, or has changed"})
        content = base64.b64decode(sent["content"])
        files[name] = re.search(r"sha256:(\w+)", content.decode())[1] if sent.get("lfsPointer") else content
        return self.answer(201, {"content": {"name": name}})


ROUTES = {
    r"POST /(\S+/\S+)\.git/info/lfs/objects/batch": "batch",
    r"POST /verify": "verify",
    r"GET /api/models/([^/]+/[^/]+?)(?:/revision/main)?": "hf_info",
    r"POST /api/repos/create": "hf_create",
    r"POST /api/validate-yaml": "hf_validate",
    r"POST /api/models/([^/]+/[^/]+)/preupload/main": "hf_preupload",
    r"POST /api/models/([^/]+/[^/]+)/commit/main": "hf_commit",
    r"(?:GET|HEAD) /([^/]+/[^/]+)/resolve/[^/]+/(.+)": "download",
    r"POST /studio/model/sdk/add": "ai_create",
    r"GET /api/v1/repos/([^/]+/[^/]+)": "ai_info",
    r"POST /([^/]+/[^/]+)/preupload/master": "ai_preupload",
    r"(GET|POST|PUT) /api/v1/repos/([^/]+/[^/]+)/contents/(.+)": "ai_contents",
    r"GET /api/v1/repos/([^/]+/[^/]+)/media/(.+)": "download",
}
