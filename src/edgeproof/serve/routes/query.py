"""The options in a request's query, each read as its JSON schema says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from edgeproof.core.errors import did_you_mean
from edgeproof.serve.http_errors import HttpError

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")


def read_query(request: Request, schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Every option of `schemas`: as it was sent, or its default.

    Raises:
        HttpError: 400 for one that is unknown, sent twice, or no value of its schema.
    """
    sent = request.query_params.multi_items()
    values = {name: schema.get("default") for name, schema in schemas.items()}
    for name, text in sent:
        if name not in schemas:
            raise _refused(f"There is no option {name[:40]!r} here.", did_you_mean(name[:40], schemas))
        if sum(name == other for other, _ in sent) > 1:
            raise _refused(f"The option {name!r} is there twice.", "Send it once.")
        values[name] = _read(name, text, schemas[name])
    return values


def _read(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    kind = schema["type"]
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "string" and len(text) <= schema["maxLength"]:
        return text
    if (kind == "integer" and _WHOLE.fullmatch(text)) or (kind == "number" and _NUMBER.fullmatch(text)):
        value = int(text) if kind == "integer" else float(text)
        if schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf):
            return value
    wanted = {
        "boolean": "true or false",
        "string": f"at most {schema.get('maxLength')} characters",
        "integer": f"a whole number from {schema.get('minimum')} to {schema.get('maximum')}",
        "number": f"a number from {schema.get('minimum')} to {schema.get('maximum')}",
    }[kind]
    raise _refused(f"The option {name!r} is {text[:40]!r}.", f"Send {wanted}.")


def _refused(message: str, hint: str) -> HttpError:
    return HttpError(400, "bad_option", message, details={"hint": hint})
