"""A server of files in memory for the browser on this machine. It reads no path that a request names."""

from __future__ import annotations

import functools
import http.server
from http import HTTPStatus
from pathlib import Path
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.commands.explorer.site import Files

LOOPBACK = "127.0.0.1"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}


def loopback_server(files: Files, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of these files on the loopback address; port 0 takes a free one.

    It refuses a request whose Host is not this address: a page elsewhere whose name resolves to it gets nothing.

    Raises InputError if the port cannot be taken.
    """
    handler = functools.partial(_Handler, files)
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "it must be between 0 and 65535"
        raise InputError(f"port={port} cannot be used on {LOOPBACK}: {reason}; 0 takes a free one") from error


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "farebox", ""
    timeout = 60

    def __init__(self, files: Files, *arguments: Any, **keywords: Any) -> None:
        self._files = files
        super().__init__(*arguments, **keywords)

    def do_GET(self) -> None:
        """The file, with its content."""
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        """The file's headers."""
        self._answer(has_body=False)

    def log_message(self, *arguments: Any) -> None:
        """Prints nothing."""

    def _answer(self, has_body: bool) -> None:
        port = self.connection.getsockname()[1]
        hosts = [f"{name}:{port}" for name in (LOOPBACK, "localhost")]
        if self.headers.get("Host") not in hosts:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", f"Host must be {' or '.join(hosts)}\n".encode())
            return
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        content = self._files.get(name)
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"no such file\n")
            return
        try:
            body = content.read_bytes() if isinstance(content, Path) else content
        except OSError:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"the file is gone\n")
            return
        self._send(HTTPStatus.OK, TYPES.get(Path(name).suffix, "application/octet-stream"), body, has_body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes, has_body: bool = True) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(body)
