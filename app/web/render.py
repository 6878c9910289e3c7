"""Templates to pages: one Jinja environment, autoescaped, with the words and numbers in the form the pages want."""

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.core import runs
from app.core.clock import Clock
from app.core.db import Database
from app.core.files import megabytes
from app.datasets.lists import as_text
from app.web.assets import bokeh_url
from app.web.services import TEMPLATES
from app.web.trying import try_form


class Pages:
    """Renders templates; every page gets the counts of its header."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            as_text=as_text,
            duration=duration,
            count=count,
            size=megabytes,
            score=score,
            rate=rate,
            ordinal=ordinal,
            clock=clock_time,
            when=partial(when, clock=clock),
        )
        self._environment.globals.update(bokeh_url=bokeh_url, try_form=try_form)

    def render(self, request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A whole page."""
        with self._database.read() as session:
            counts = runs.counts(session)
        page = self._environment.get_template(name).render(
            **context,
            counts={"running": 0, "queued": 0, **counts},
            path=request.url.path,
            nonce=request.scope.get("csp_nonce", ""),
        )
        return HTMLResponse(page, status_code=status)

    def fragment(self, name: str, **context: Any) -> str:
        """A part of a page, for a script that replaces it."""
        return Markup(self._environment.get_template(name).render(**context))


def duration(seconds: float | None) -> str:
    """41 s · 1 min 10 s · 3 h 12 min · 2 d 4 h"""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 3600:
        return f"{round(whole / 60)} min"
    if whole < 86400:
        hours, minutes = divmod(round(whole / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(whole / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def count(value: float | None) -> str:
    """12,345; nothing for None."""
    return "" if value is None else f"{value:,.0f}"


def score(value: Any) -> str:
    """0.861; a dash where there is none."""
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def ordinal(value: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st"""
    ending = "th" if 10 <= value % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{ending}"


def rate(value: float | None) -> str:
    """47 or 3.2: examples a second."""
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def clock_time(seconds: str | None) -> str:
    """14:02:07 in the time zone of this machine, out of RFC 3339."""
    return f"{datetime.fromisoformat(seconds).astimezone():%H:%M:%S}" if seconds else ""


def when(seconds: str | None, clock: Clock) -> str:
    """today 14:02 · yesterday 9:30 · Mon 9:30 · 3 Nov 2026, in the time zone of this machine, out of RFC 3339."""
    if not seconds:
        return ""
    moment = datetime.fromisoformat(seconds).astimezone()
    days = (datetime.fromtimestamp(clock()).astimezone().date() - moment.date()).days
    at = f"{moment.hour}:{moment:%M}"
    if days <= 1:
        return f"{'yesterday' if days == 1 else 'today'} {at}"
    return f"{moment:%a} {at}" if days < 7 else f"{moment.day} {moment:%b %Y}"
