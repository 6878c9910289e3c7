"""Request bodies: JSON and forms, with limits, so that whatever arrives ends in a sentence and not in a traceback."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from app.core.errors import Invalid, TooLarge
from app.core.files import megabytes

MAX_JSON = 32 * 2**20


async def json_body(request: Request) -> Any:
    """The body as JSON. Raises TooLarge over 32 MB; Invalid for what is no JSON or can't be stored as UTF-8."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_JSON:
            raise TooLarge(f"The body is larger than {megabytes(MAX_JSON)}: send it in parts.")
    try:
        value = json.loads(data, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate can be written nowhere
    except UnicodeEncodeError as error:
        raise Invalid("The body has half of a surrogate pair in a string: send valid Unicode.") from error
    except RecursionError as error:
        raise Invalid("The body is nested too deeply.") from error
    except ValueError as error:
        raise Invalid(f"The body is not JSON: {error}. Send a JSON object.") from error
    return value


async def form_fields(request: Request) -> dict[str, str]:
    """The text fields of a form; the last of equal names wins, files are left out."""
    form = await request.form(max_fields=2000, max_part_size=2**20)
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


JsonBody = Annotated[Any, Depends(json_body)]
FormFields = Annotated[dict[str, str], Depends(form_fields)]
