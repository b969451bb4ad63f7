"""`farebox explore`: a page that computes fares in the browser with the shipped bytes. No TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from farebox.components.errors import InputError

NO_LITERT = "note: LiteRT.js is not here, so the page computes with the exported JavaScript; `make explorer` fetches it"


def explore(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A .tflite file, a version's folder, or models/CITY for its latest; without it the only city in "
            "models/.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Of the loopback address; 0 takes a free one.")] = 0,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write the page's files here instead, for any web server.")
    ] = None,
) -> None:
    """Shows a page that computes fares in the browser, with the shipped bytes and a map of trips.

    Serves it on 127.0.0.1 until Ctrl-C.
    """
    from farebox.components.files import write_all_atomically
    from farebox.pipeline.commands.explorer.serving import loopback_server
    from farebox.pipeline.commands.explorer.site import VENDOR, explorer_files

    if port and out is not None:
        raise InputError(f"--port={port} must be left out with --out={out}: the files need another server")
    files = explorer_files(Path(model) if model else _only_city())
    if not VENDOR.is_dir():
        print(NO_LITERT, file=sys.stderr)
    if out is not None:
        paths = write_all_atomically(Path(out), files)
        print(f"{len(paths)} files in {out}; any web server shows them, such as: python -m http.server -d {out}")
        return
    server = loopback_server(files, port)
    print(f"http://127.0.0.1:{server.server_address[1]}/ shows the model until Ctrl-C", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def _only_city() -> Path:
    """The folder of the only city in models/. Raises InputError if there is none, or more than one."""
    from farebox.components.atomic_pusher.versions import cities

    folders = cities(Path("models"))
    if len(folders) > 1:
        raise InputError(f"MODEL must name one of {', '.join(map(str, folders))}: there is more than one city")
    return folders[0]
