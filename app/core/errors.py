"""The errors a user may meet, each with one clear sentence and a fitting HTTP status.

    HeadstartError              500  a bug: everything below is expected
    ├── Invalid                 422  what the user gave can't be used; `problems` lists every fault at once
    ├── NotFound                404
    ├── Conflict                409  a move in the wrong state
    ├── Refused                 403  a request that a page of ours would not have sent
    ├── TooLarge                413
    ├── NoSpace                 507  too little disk
    └── Unavailable             503  a part of Headstart does not answer (worker, broker)

The web layer renders any of them as HTML or as the JSON of the public interface; the worker stores
`as_dict()` on the run.
"""

from typing import Self, TypedDict


class Problem(TypedDict):
    """One fault: `where` is a field, a column or a line ("line 17"); `message` says what to do."""

    where: str
    message: str


class HeadstartError(Exception):
    """Base of all errors that are shown to the user."""

    status = 500
    kind = "bug"

    def __init__(self, message: str, problems: list[Problem] | None = None, kind: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems or []
        if kind is not None:
            self.kind = kind

    def as_dict(self) -> dict[str, object]:
        return {"kind": self.kind, "message": self.message, "problems": list(self.problems)}

    @classmethod
    def from_problems(cls, what: str, problems: list[Problem], kind: str | None = None) -> Self:
        """One sentence out of the faults of `what`; all of them stay in `problems`."""
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = f"{first['where']}: " if first["where"] else ""
        return cls(f"{what}: {where}{first['message']}{more}", problems, kind)


class Invalid(HeadstartError):
    status, kind = 422, "invalid"


class NotFound(HeadstartError):
    status, kind = 404, "not_found"


class Conflict(HeadstartError):
    status, kind = 409, "conflict"


class Refused(HeadstartError):
    status, kind = 403, "refused"


class TooLarge(HeadstartError):
    status, kind = 413, "too_large"


class NoSpace(HeadstartError):
    status, kind = 507, "disk"


class Unavailable(HeadstartError):
    status, kind = 503, "unavailable"
