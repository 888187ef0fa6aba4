"""A small Hugging Face hub: the part of its protocol by which repositories are made, committed to and read.

    with HubServer() as hub:
        hub.add("model", "org/name", {"router.json": b"…"})     # as others put it there
        hub.files("model", "org/name")                          # name -> content, at the newest commit

`hub.requests` has (method, path, token) of every request. The token `hf_writes` may write, `hf_reads` may only read,
any other is not known; a private repository is not there without a token. `hub.is_silent` takes requests and answers
none, until the server ends.
"""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class HubServer:
    """The hub; repositories are kept by kind and name, each with its commits, oldest first."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], dict[str, Any]] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.is_silent = False
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, kind: str, name: str, files: Files, *, private: bool = False, tag: str | None = None) -> str:
        """Commit files to a repository, made where it is absent; they are all it then holds."""
        found = self.repositories.setdefault((kind, name), {"private": private, "commits": [], "tags": {}})
        digest = hashlib.sha1(str(len(found["commits"])).encode() + b"".join(files.values())).hexdigest()
        found["commits"].append((digest, dict(files)))
        if tag is not None:
            found["tags"][tag] = digest
        return digest

    def files(self, kind: str, name: str) -> Files:
        """Return what a repository holds now."""
        return dict(self.repositories[kind, name]["commits"][-1][1])

    def paths(self) -> list[str]:
        """Return the paths asked for."""
        return [path for _, path, _ in self.requests]

    def wait(self) -> None:
        """Return when the server ends."""
        self._ended.wait()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path).strip("/")
        self.token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.hub.requests.append((self.command, path, self.token))
        if self.hub.is_silent:
            self.hub.wait()
            self.close_connection = True
            return
        if self.token not in (None, "hf_writes", "hf_reads"):
            return self._answer(401, {"error": "Invalid credentials in Authorization header"})
        if path == "api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if path == "api/repos/create":
            return self._create(json.loads(body))
        if path.startswith("api/"):
            return self._api(path.split("/")[1:], body)
        self._resolve(path.split("/"))

    def _create(self, wanted: dict[str, Any]) -> None:
        if self.token != "hf_writes":
            return self._answer(403, {"error": "You don't have the rights to create a model under this namespace"})
        kind, name = wanted.get("type") or "model", f"{wanted['organization']}/{wanted['name']}"
        address = f"{self.hub.url}/{'' if kind == 'model' else 'datasets/'}{name}"
        if (kind, name) in self.hub.repositories:
            return self._answer(409, {"error": "You already created this repo", "url": address})
        is_private = wanted.get("private") is True or wanted.get("visibility") == "private"
        self.hub.add(kind, name, {".gitattributes": b""}, private=is_private)
        self._answer(200, {"url": address})

    def _api(self, parts: list[str], body: bytes) -> None:
        kind, name, rest = parts[0].removesuffix("s"), "/".join(parts[1:3]), parts[3:]
        found = self.hub.repositories.get((kind, name))
        if found is None:
            return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        commit, files = found["commits"][-1]
        if not rest:
            names = [{"rfilename": file} for file in files]
            return self._answer(200, {"id": name, "sha": commit, "private": found["private"], "siblings": names})
        if self.token != "hf_writes":
            return self._answer(403, {"error": "You have read access but not the required permissions"})
        if rest[0] == "preupload":
            asked = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]
            return self._answer(200, {"files": modes})
        assert rest[0] == "commit"
        for line in body.decode().splitlines():
            step = json.loads(line)
            if step["key"] == "file":
                files = {**files, step["value"]["path"]: base64.b64decode(step["value"]["content"])}
            elif step["key"] == "deletedFile":
                files = {file: content for file, content in files.items() if file != step["value"]["path"]}
        digest = self.hub.add(kind, name, files)
        address = f"{self.hub.url}/{'' if kind == 'model' else 'datasets/'}{name}/commit/{digest}"
        self._answer(200, {"success": True, "commitOid": digest, "commitUrl": address})

    def _resolve(self, parts: list[str]) -> None:
        kind = "dataset" if parts[0] == "datasets" else "model"
        owner, own, resolve, revision, *rest = parts[1:] if kind == "dataset" else parts
        assert resolve == "resolve"
        found = self.hub.repositories.get((kind, f"{owner}/{own}"))
        if found is None or (found["private"] and self.token is None):
            return self._answer(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        commits = dict(found["commits"])
        commit = found["commits"][-1][0] if revision == "main" else found["tags"].get(revision, revision)
        if commit not in commits:
            return self._answer(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        content = commits[commit].get("/".join(rest))
        if content is None:
            return self._answer(404, {"error": "no"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        etag = hashlib.sha1(content).hexdigest()
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit})

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
