"""Google Cloud Storage's JSON API on 127.0.0.1, as far as TensorFlow's file system for gs:// calls it.

TensorFlow has no setting for another address, so this is a proxy: a client with `variables` in its environment asks it
for a tunnel to Google, and finds this server at the tunnel's end, with a certificate that the variables name. Read from
https://cloud.google.com/storage/docs/json_api/v1 and from the requests of TensorFlow 2.16. The real client talks to it.
"""

from __future__ import annotations

import datetime
import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HOSTS = "www.googleapis.com", "storage.googleapis.com"


class FakeGcs:
    """`objects` of all buckets together, by name. folder: for the certificate."""

    def __init__(self, folder: Path) -> None:
        self.objects: dict[str, bytes] = {}
        certificate, key = write_certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        handler = type("Handler", (_Handler,), {"objects": self.objects, "context": context})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{self.server.server_port}"
        self.variables = {
            "HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "", "no_proxy": "",
            "CURL_CA_BUNDLE": str(certificate), "GOOGLE_AUTH_TOKEN_FOR_TESTING": "token",
        }  # fmt: skip

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    context: ssl.SSLContext

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if re.fullmatch("/storage/v1/b/[^/]+", url.path):
            self._answer(200, {"location": "US"})
        elif re.fullmatch("/storage/v1/b/[^/]+/o", url.path):
            self._answer(200, self._listed(query.get("prefix", ""), query.get("delimiter")))
        elif (name := self._name()) not in self.objects:
            self._answer(404, {})
        elif url.path.startswith("/storage/v1/"):
            size = str(len(self.objects[name]))
            self._answer(200, {"size": size, "generation": "1", "updated": "2026-01-01T00:00:00.000Z"})
        else:
            self._send(self.objects[name])

    def do_POST(self) -> None:
        """A folder's marker at once, or a file in parts."""
        query = dict(parse_qsl(urlsplit(self.path).query))
        body = self._body()
        if query["uploadType"] == "media":
            self.objects[query["name"]] = body
        self._answer(200, {}, {"Location": f"https://{HOSTS[0]}/session?name={quote(query['name'])}"})

    def do_PUT(self) -> None:
        """A part of a file; without a part, the question what has arrived."""
        name, body = dict(parse_qsl(urlsplit(self.path).query))["name"], self._body()
        if not self.headers.get("Content-Range", "").startswith("bytes */") or name not in self.objects:
            self.objects[name] = body
        self._answer(200, {})

    def do_DELETE(self) -> None:
        self._answer(204 if self.objects.pop(self._name(), None) is not None else 404, {})

    def _name(self) -> str:
        path = urlsplit(self.path).path
        return unquote(re.sub("^(/storage/v1/b/[^/]+/o/|/[^/]+/)", "", path))

    def _listed(self, prefix: str, delimiter: str | None) -> dict[str, Any]:
        rests = [(name, name[len(prefix) :]) for name in sorted(self.objects) if name.startswith(prefix)]
        folders = {
            prefix + rest.partition(delimiter)[0] + delimiter for _, rest in rests if delimiter and delimiter in rest
        }
        files = [{"name": name} for name, rest in rests if not (delimiter and delimiter in rest)]
        return {key: value for key, value in (("items", files), ("prefixes", sorted(folders))) if value}

    def _send(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2])) if asked else (0, len(content))
        self._answer(206 if first < len(content) else 416, content[first : last + 1])

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """The files of a certificate for Google's hosts, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret
