"""`edgeproof models list`, `pull`, `verify` and `licences`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.core.errors import DiskFullError, EdgeproofError, UnknownNameError, UsageError, did_you_mean

if TYPE_CHECKING:
    from edgeproof.bundles.catalogue import CatalogueModel
    from edgeproof.bundles.pull import Pulled

_commercial_option = click.option(
    "--commercial-only",
    is_flag=True,
    help="Only those whose licence allows commercial use, as far as we can see.",
)
_task_option = click.option(
    "--task",
    metavar="TASK",
    help="Only those of a task: face-detection, face-recognition, attributes, detect, classify.",
)
_CAUTION = "Whether a licence allows commercial use is our reading of what is published, and no legal advice."


@click.command()
@_task_option
@_commercial_option
@output_options
def list_models(output: Output, *, task: str | None, commercial_only: bool) -> int:
    """List the networks that can be had by name, and say which are installed.

    Nothing is fetched, and no network is used.

    \b
    Examples:
      edgeproof models list
      edgeproof models list --task face-recognition --commercial-only
      edgeproof models list --json
    """
    from edgeproof.bundles.store import models_folder, state

    models = _choose((), task, commercial_only=commercial_only)
    states = {model.name: state(model, thorough=False) for model in models}
    output.document({"models": [_as_json(model, states[model.name]) for model in models]})
    for name in dict.fromkeys(model.task for model in models):
        output.table(
            f"Models for {name}",
            (".name", ">size", "commercial", ".state", "licence"),
            [
                (
                    model.name,
                    _size(model.bytes),
                    "yes" if model.commercial else "no",
                    "" if states[model.name] == "missing" else states[model.name],
                    model.licence,
                )
                for model in models
                if model.task == name
            ],
        )
    output.say(f"Installed ones are in {models_folder()}. {_CAUTION}")
    return 0


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@_task_option
@_commercial_option
@click.option(
    "--mirror",
    metavar="DIR|URL",
    help="Take the files from here, by their plain names, and from nowhere else. Default: EDGEPROOF_MIRROR.",
)
@click.option("--offline", is_flag=True, help="Use no network. Default: whether EDGEPROOF_OFFLINE is set.")
@click.option(
    "--accept-unknown-digest",
    is_flag=True,
    help="Fetch files whose digest isn't known too. The digest of what came is shown, and held to from then on.",
)
@output_options
def pull(
    output: Output,
    *,
    names: tuple[str, ...],
    task: str | None,
    commercial_only: bool,
    mirror: str | None,
    offline: bool,
    accept_unknown_digest: bool,
) -> int:
    """Fetch networks, and check each file against its digest.

    A download that broke off goes on where it stopped. A model counts as installed when all its files are there and
    checked, and not before. The exit code is 1 when one of several could not be had; the others are still fetched.

    \b
    Examples:
      edgeproof models pull yunet mobilefacenet
      edgeproof models pull --task face-detection --commercial-only
      edgeproof models pull yunet --mirror /media/usb/models
    """
    from edgeproof.bundles import pull as pulling

    if not names and not task:
        raise UsageError("There is nothing to pull.", hint="Give names (edgeproof models list), or --task.")
    models = _choose(names, task, commercial_only=commercial_only)
    if not names and not accept_unknown_digest:
        models = [model for model in models if all(file.sha256 for file in model.files)]
    options = {
        "mirror": pulling.find_mirror(mirror),
        "offline": offline or os.environ.get("EDGEPROOF_OFFLINE", "0") not in ("", "0"),
        "accept_unknown_digest": accept_unknown_digest,
    }
    rows, failed = [], False
    for model in models:
        try:
            pulled = _pull_one(output, model, options)
            rows.append(
                _as_json(model, "installed") | {"fetched": pulled.fetched, "path": str(pulled.folder)}
            )
        except DiskFullError:
            raise
        except EdgeproofError as error:
            if len(models) == 1:
                raise
            failed = True
            output.say(f"{model.name}: {error}", style="red")
            rows.append(_as_json(model, "missing") | {"fetched": False, "error": error.as_json()})
    output.document({"models": rows})
    return 1 if failed else 0


def _pull_one(output: Output, model: CatalogueModel, options: dict[str, Any]) -> Pulled:
    from edgeproof.bundles import pull as pulling

    output.say(f"{model.name}: {model.title}")
    use = "" if model.commercial else " Not for commercial use."
    output.say(f"  Licence: {model.licence}.{use} {model.note}".rstrip())
    with output.progress(sizes=True) as step:
        pulled = pulling.pull(
            model,
            **options,
            progress=lambda name, done, total: step(name, done, total or done),
            waiting=lambda: output.say("  Another edgeproof is fetching it: waiting for that."),
        )
    if not pulled.fetched:
        output.say("  It is installed already, and intact.")
        return pulled
    for name, digest in pulled.digests.items():
        checked = (
            "its digest was not known, and is held to from now on" if name in pulled.pinned else "checked"
        )
        output.say(f"  {pulled.folder / name}: SHA-256 {digest}, {checked}.")
    return pulled


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@output_options
def verify(output: Output, *, names: tuple[str, ...]) -> int:
    """Read the installed networks in full, and compare their digests.

    Without a name, all that are installed. The exit code is 1 when one is damaged, or one that was named is missing.

    \b
    Examples:
      edgeproof models verify
      edgeproof models verify yunet mobilefacenet --json
    """
    from edgeproof.bundles.store import models_folder, state

    models = _choose(names, None)
    states = {model.name: state(model) for model in models}
    if not names:
        models = [model for model in models if states[model.name] != "missing"]
    output.document({"models": [_as_json(model, states[model.name]) for model in models]})
    if not models:
        output.say(f"No model is installed in {models_folder()}. Fetch one: edgeproof models pull yunet")
        return 0
    bad = [model for model in models if states[model.name] != "installed"]
    output.table(
        "Installed models",
        (".name", ">size", "state"),
        [
            (model.name, _size(model.bytes), "intact" if model not in bad else states[model.name])
            for model in models
        ],
        ["red" if model in bad else "" for model in models],
    )
    output.say(f"They are in {models_folder()}.")
    if bad:
        output.say(f"Fetch again: edgeproof models pull {' '.join(model.name for model in bad)}", style="red")
    return 1 if bad else 0


@click.command()
@_task_option
@_commercial_option
@output_options
def licences(output: Output, *, task: str | None, commercial_only: bool) -> int:
    """Say under which licence each network is published, and what else is known about its use.

    \b
    Examples:
      edgeproof models licences
      edgeproof models licences --commercial-only --json
    """
    from edgeproof.bundles.store import state

    models = _choose((), task, commercial_only=commercial_only)
    output.document(
        {
            "models": [
                _as_json(model, state(model, thorough=False)) | {"note": model.note or None}
                for model in models
            ]
        }
    )
    for model in models:
        use = "commercial use: yes" if model.commercial else "commercial use: no"
        output.say(f"{model.name}: {model.licence}; {use}.", style="bold")
        output.say(f"  {model.note} {model.source}" if model.note else f"  {model.source}")
    output.say(_CAUTION)
    return 0


def _choose(names: Sequence[str], task: str | None, *, commercial_only: bool = False) -> list[CatalogueModel]:
    from edgeproof.bundles.catalogue import catalogue, model_named, tasks

    if task is not None and task not in tasks():
        raise UnknownNameError(f"There is no task {task!r} with models.", hint=did_you_mean(task, tasks()))
    chosen = [model_named(name) for name in dict.fromkeys(names)] or list(catalogue().values())
    kept = [
        model
        for model in chosen
        if (task is None or model.task == task) and (model.commercial or not commercial_only)
    ]
    if names and len(kept) < len(chosen):  # what was asked for by name is not left out in silence
        left = ", ".join(model.name for model in chosen if model not in kept)
        reason = "not for commercial use" if commercial_only else f"not for the task {task}"
        raise UsageError(
            f"{left}: {reason}.", hint="Leave that name out, or the option; or see: models licences"
        )
    if not kept:
        raise UsageError(
            f"The task {task} has no model for commercial use.", hint="See: edgeproof models list"
        )
    return kept


def _as_json(model: CatalogueModel, state: str) -> dict[str, Any]:
    from edgeproof.bundles.store import expected_digests

    digests = expected_digests(model)
    return {
        "name": model.name,
        "task": model.task,
        "title": model.title,
        "licence": model.licence,
        "commercial": model.commercial,
        "bytes": model.bytes,
        "sha256": digests[model.files[0].name],
        "installed": state == "installed",
        "state": state,
        "source": model.source,
        "files": [
            {"name": file.name, "bytes": file.bytes, "sha256": digests[file.name], "url": file.url}
            for file in model.files
        ],
    }


def _size(value: int | None) -> str:
    return "unknown" if value is None else f"{value / 1e6:.1f} MB"
