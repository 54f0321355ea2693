"""`edgeproof serve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.core.errors import UsageError


@click.command()
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="A task to serve: attributes, orientation, faces, embeddings; may be given several times. Default: the first "
    "two.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=BUNDLE",
    help="A bundle, or an .onnx file, to serve over /v2 as NAME; may be given several times. A bundle made for a "
    "served task, or a file that has a task's name (detect=FILE), is also what that task runs on.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen. Others need --api-key-file."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any free one."
)
@click.option(
    "--mem-budget",
    default="200MB",
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
    "--model-ttl",
    type=float,
    metavar="S",
    help="Close networks that nobody used for S seconds. Default: never.",
)
@click.option(
    "--max-upload", default="10MB", show_default=True, metavar="SIZE", help="The largest body of a request."
)
@click.option(
    "--api-key-file",
    type=click.Path(),
    metavar="FILE",
    help="Who may use it: a line for each key, `KEY SCOPE[,SCOPE] [max=N]`, with the scopes infer, enrol and admin and "
    "the most requests at once. Without it everybody on this machine may do everything.",
)
@output_options
def serve(
    output: Output,
    *,
    tasks: Sequence[str],
    models: Sequence[str],
    host: str,
    port: int,
    mem_budget: str,
    workers: int,
    model_ttl: float | None,
    max_upload: str,
    api_key_file: str | None,
) -> int:
    """Serve the tasks over HTTP, in one small process and its workers.

    POST a picture to /predict or /v1/TASK; any network over /v2, the Open Inference Protocol; /metrics for
    Prometheus; /openapi.json lists all; / is a page to try it with. Ends with Ctrl-C or SIGTERM, after the
    requests in flight. --json prints one document when it is ready.

    \b
    Examples:
      edgeproof serve
      edgeproof serve --task orientation --port 0 --mem-budget 160MB
      edgeproof serve --model plants=plants.edge --host 0.0.0.0 --api-key-file keys
      curl -F image=@photo.jpg http://127.0.0.1:8080/predict
    """
    from edgeproof.serve.run import serve as run
    from edgeproof.serve.settings import Settings, parse_size

    settings = Settings(
        tasks=tasks,
        models=_named(models),
        host=host,
        port=port,
        memory=parse_size(mem_budget),
        workers=workers,
        model_ttl_s=model_ttl,
        max_upload=parse_size(max_upload),
        key_file=Path(api_key_file) if api_key_file else None,
    )

    def announce(facts: dict[str, Any]) -> None:
        output.document(facts)
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
