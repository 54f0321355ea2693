"""`edgeproof serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.cli.serve_options import collection_options, listen_options
from edgeproof.core.errors import UsageError


@click.command()
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="A task to serve: attributes, orientation, faces, embeddings; may be given several times. Default: the first "
    "two, or embeddings with --gallery.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=BUNDLE",
    help="A bundle, or an .onnx file, to serve over /v2 as NAME; may be given several times. A bundle made for a "
    "served task, or a file that has a task's name (detect=FILE), is also what that task runs on.",
)
@listen_options
@click.option(
    "--mem-budget",
    default="180MB",
    show_default=True,
    metavar="SIZE",
    help="What all processes together may take. Requests that could take more wait or are refused.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that decode and infer, each with its own copy of the networks. One uses all cores, with threads; "
    "two go on when one crashes.",
)
@click.option(
    "--batch-wait",
    type=float,
    default=2.0,
    show_default=True,
    metavar="MS",
    help="The longest that the faces of a request wait for those of others, to go through a network together. A request"
    " that is alone never waits. 0: never.",
)
@click.option(
    "--model-ttl",
    type=float,
    metavar="S",
    help="Close networks that nobody used for S seconds. Default: never.",
)
@collection_options
@click.option(
    "--max-upload", default="10MB", show_default=True, metavar="SIZE", help="The largest body of a request."
)
@output_options
def serve(
    output: Output,
    *,
    tasks: Sequence[str],
    models: Sequence[str],
    listen: dict[str, Any],
    mem_budget: str,
    workers: int,
    batch_wait: float,
    model_ttl: float | None,
    collections: dict[str, Any],
    max_upload: str,
) -> int:
    """Serve the tasks over HTTP, in one small process and its workers.

    POST a picture to /predict or /v1/TASK; with --gallery /v1/collections says who is in it, and enrols people; any
    network over /v2, the Open Inference Protocol; /metrics for Prometheus; /openapi.json lists all; / is a page to try
    it with. Ends with Ctrl-C or SIGTERM, after the requests in flight. --json prints one document when it is ready.

    \b
    Examples:
      edgeproof serve
      edgeproof serve --task orientation --port 0 --mem-budget 160MB
      edgeproof serve --model plants=plants.edge --host 0.0.0.0 --api-key-file keys
      edgeproof serve --gallery door.db --gallery staff=postgresql://door@server/faces
      curl -F image=@photo.jpg http://127.0.0.1:8080/predict
    """
    from edgeproof.serve.run import serve as run
    from edgeproof.serve.settings import Settings, parse_size

    settings = Settings(
        tasks=tasks,
        models=_named(models),
        **listen,
        memory=parse_size(mem_budget),
        workers=workers,
        batch_wait_s=batch_wait / 1e3,
        model_ttl_s=model_ttl,
        **collections,
        max_upload=parse_size(max_upload),
    )

    def announce(facts: dict[str, Any]) -> None:
        output.document(facts)
        for one in facts["collections"]:
            output.say(
                f"Collection {one['name']}: {one['people']} people, {one['templates']} templates, {one['model']},"
                f" threshold {one['threshold']:.2f}"
            )
        output.plain(
            f"Listening on {facts['url']} ({', '.join(facts['models'])}; {facts['slots']} pictures at a time;"
            f" {facts['memory_bytes'] / 1e6:.0f} of {facts['memory_budget_bytes'] / 1e6:.0f} MB)"
        )

    run(settings, announce)
    return 0


def _named(models: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in models:
        name, equals, path = text.partition("=")
        if not name or not equals or not path or name in named:
            raise UsageError(f"--model is {text!r}.", hint="Write NAME=BUNDLE, each name once.")
        named[name] = path
    return named
