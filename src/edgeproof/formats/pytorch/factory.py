"""A network that the user's own code builds."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from edgeproof.core.errors import UnknownNameError, UsageError, did_you_mean
from edgeproof.formats.graph import first_line


def call_factory(torch: Any, source: str) -> Any:
    """Import `package.module`, also from the current folder, and return the nn.Module that `:factory` is or makes.

    Raises:
        UsageError: there is no such module, or its code fails, or makes something else.
        UnknownNameError: there is no such name in it.
    """
    name, _, attribute = source.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` has it: the code is mostly what lies here
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        hint = f"It is looked for in the current folder and among the installed packages ({error})."
        raise UsageError(f"There is no Python module {name!r}.", hint=hint) from error
    except Exception as error:  # it is the user's code: it may raise anything
        raise _failed(f"Importing {name}", error) from error
    found = getattr(module, attribute, None)
    if found is None:
        known = [key for key in vars(module) if not key.startswith("_")]
        raise UnknownNameError(f"{name} has no {attribute!r}.", hint=did_you_mean(attribute, known))
    if not isinstance(found, torch.nn.Module):
        if not callable(found):
            raise _no_module(source, found)
        try:
            found = found()
        except Exception as error:
            raise _failed(f"{source}()", error) from error
    if not isinstance(found, torch.nn.Module):
        raise _no_module(source, found)
    return found


def _failed(what: str, error: Exception) -> UsageError:
    return UsageError(
        f"{what} failed: {type(error).__name__}: {first_line(error)}.",
        hint="Run it in Python to see where; it is called without arguments.",
    )


def _no_module(source: str, found: object) -> UsageError:
    return UsageError(
        f"{source} gives a {type(found).__name__}.",
        hint="It must be a torch.nn.Module, or a function that returns one.",
    )
