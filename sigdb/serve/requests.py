"""Bodies of requests over HTTP, of bounded size and time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from sigdb.errors import nearest
from sigdb.serve.limits import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["read_body", "read_object"]

# The longest body.
LONGEST = 8 << 20
# Seconds in which it must have come.
SECONDS = 30.0


async def read_body(request: Request, longest: int = LONGEST) -> bytes:
    """The body of a request. Raises Refused if it is too long, or comes too slowly."""
    text = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                text += chunk
                if len(text) > longest:
                    raise Refused("too_large", f"The request has more than {longest:,} bytes.")
    except TimeoutError:
        raise Refused("timeout", f"The request did not come within {SECONDS:g} seconds.") from None
    return bytes(text)


async def read_object(request: Request, known: tuple[str, ...], longest: int = LONGEST) -> dict[str, Any]:
    """The body of a request, a JSON object with some of these keys. Raises Refused."""
    text = await read_body(request, longest)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused("bad_query", "The body of the request is not a JSON object.")
    for key in body:
        if key not in known:
            raise Refused("bad_query", f"The request has no part {key!r:.80}.{nearest(key, known)}")
    return body
