"""Files that the pages load: our own modules and style, and Bokeh's script out of its wheel."""

import importlib.util
from functools import cache
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from app.core.errors import NotFound
from app.web.services import STATIC

router = APIRouter(include_in_schema=False)


def mount(app: FastAPI) -> None:
    """Adds the routes; our own files are asked for again each time (ETag), Bokeh's never change under their name."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


@cache
def bokeh_url() -> str:
    return f"/static/bokeh-{version('bokeh')}.min.js"


@router.get("/static/bokeh-{release}.min.js", response_class=FileResponse)
def bokeh(release: str) -> FileResponse:
    """The script of the installed Bokeh, found without importing it."""
    path = _bokeh_folder() / "server" / "static" / "js" / "bokeh.min.js"
    if release != version("bokeh") or not path.is_file():
        raise NotFound(f"Bokeh {release} is not installed here. Reload the page.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(path, media_type="text/javascript", headers=headers)


@router.get("/favicon.ico", response_class=FileResponse)
def favicon() -> FileResponse:
    return FileResponse(STATIC / "favicon.svg", media_type="image/svg+xml")


def _bokeh_folder() -> Path:
    found = importlib.util.find_spec("bokeh")
    if found is None or found.origin is None:
        raise NotFound("Bokeh is not installed, so there are no charts.")
    return Path(found.origin).parent
