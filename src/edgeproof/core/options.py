"""Options by name, checked against what the engine knows."""

from __future__ import annotations

from collections.abc import Mapping

from edgeproof.core.errors import UnknownNameError, UsageError, did_you_mean

Value = bool | int | float | str
Options = Mapping[str, Value]


def with_defaults(given: Options, defaults: Options, *, whose: str) -> dict[str, Value]:
    """The defaults, replaced by what was given; a value must be of its default's type.

    Raises:
        UnknownNameError: an option that `whose` doesn't have.
        UsageError: a value of another type.
    """
    for name, value in given.items():
        if name not in defaults:
            raise UnknownNameError(f"The {whose} has no option {name!r}.", hint=did_you_mean(name, defaults))
        wanted = type(defaults[name])
        if type(value) is not wanted:
            raise UsageError(
                f"The option {name} of the {whose} is {value!r}.", hint=f"Expected {wanted.__name__}."
            )
    return {**defaults, **given}
