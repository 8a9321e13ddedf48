"""Reading what a request brings, so that nothing malformed becomes more than a refusal."""

from __future__ import annotations

import json
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from holdfast.errors import BadInput

MAX_BYTES = 16 * 1024
MAX_FIELDS = 20
FORM = "application/x-www-form-urlencoded"

Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model]) -> Model:
    """The JSON body as a model; an empty body counts as `{}`.

    Raises:
        BadInput: it is too large, not JSON, or not what the model takes; the text says which field and why.
    """
    body = await _read(request)
    if not body.strip():
        return _checked(model, {})
    if _content_type(request) != "application/json":
        raise BadInput("Send the body as JSON, with Content-Type: application/json.")
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadInput("The body is not JSON as it should be.") from None
    return _checked(model, parsed)


async def read_form(request: Request, model: type[Model]) -> Model:
    """The form fields as a model, each at most once (RFC 6749, section 3.2); fields it does not know are left out.

    Raises:
        BadInput: as `read_json`.
    """
    body = await _read(request)
    if _content_type(request) != FORM:
        raise BadInput(f"Send the fields as a form, with Content-Type: {FORM}.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        fields = _once_each(pairs)
    except ValueError:
        raise BadInput("The form cannot be read: each field once, percent-encoded UTF-8.") from None
    return _checked(model, {name: value for name, value in fields.items() if name in model.model_fields})


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if len(declared) > 9 or (declared.isdecimal() and int(declared) > MAX_BYTES):
        raise BadInput(f"The body is over {MAX_BYTES} bytes.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise BadInput(f"The body is over {MAX_BYTES} bytes.")
    except ClientDisconnect:
        raise BadInput("The request broke off.") from None
    return bytes(body)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _checked(model: type[Model], value: Any) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        first = problems[0]
        where = ".".join(str(part) for part in first["loc"][:1] if part in model.model_fields)
        told = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise BadInput(f"{where}: {told}." if where else f"The body cannot be used: {told}.") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field comes twice")
    return found


def _no_constant(_name: str) -> Any:
    raise ValueError("not JSON")  # NaN and Infinity (RFC 8259, section 6)
