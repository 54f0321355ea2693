"""`edgeproof`: finds the verb, and turns every error into one line and the right exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any, NoReturn

import click

from edgeproof._version import __version__
from edgeproof.cli.output import complain
from edgeproof.core.allocator import return_large_blocks
from edgeproof.core.errors import EdgeproofError, UsageError, did_you_mean

# verb -> (module:command, one line of help). The module is imported when the verb is used, so that
# `edgeproof --help` costs nothing. Two words make a verb too.
VERBS = {
    "fit": ("edgeproof.cli.fit:fit", "Make a network meet a budget, prove it, and seal it in a bundle."),
    "check": ("edgeproof.cli.check:check", "Check on this machine that a bundle is what it was."),
    "bench": (
        "edgeproof.cli.bench:bench",
        "Measure speed, memory and energy, and what of it can be trusted.",
    ),
    "compare": ("edgeproof.cli.compare:compare", "Whether one measurement is faster than another."),
    "import": (
        "edgeproof.cli.import_:import_",
        "Turn a network of any format into ONNX, checked against the original.",
    ),
    "export": (
        "edgeproof.cli.export:export",
        "Turn a network into another runtime's file, checked against the original.",
    ),
    "ops": ("edgeproof.cli.ops:ops", "Say which nodes of a network a runtime can't take, and what to do."),
    "diagnose": (
        "edgeproof.cli.diagnose:diagnose",
        "Why a network, a task or a running process is slow, unsteady, growing or hot.",
    ),
    "device": ("edgeproof.cli.device:device", "What this machine is, and which engines can run on it."),
    "rotate": ("edgeproof.cli.rotate:rotate", "Find which photos are turned, and write upright copies."),
    "rotate evaluate": ("edgeproof.cli.rotate:evaluate", "How right that is, on photos that stand upright."),
    "serve": ("edgeproof.cli.serve:serve", "Serve the tasks over HTTP, within a budget of memory."),
    "package": (
        "edgeproof.cli.package:package",
        "Write a folder with all that a device needs to serve bundles.",
    ),
    "faces detect": ("edgeproof.cli.faces.detect:detect", "Find the faces in pictures."),
    "faces evaluate": (
        "edgeproof.cli.faces.evaluate:evaluate",
        "How well faces are found, on pictures with known boxes.",
    ),
    "faces embed": ("edgeproof.cli.faces.embed:embed", "The vectors that tell the faces of pictures apart."),
    "faces compare": ("edgeproof.cli.faces.compare:compare", "Whether two pictures show the same person."),
    "faces verify": (
        "edgeproof.cli.faces.verify:verify",
        "How well people are told apart, on pairs with known answers.",
    ),
    "faces enroll": ("edgeproof.cli.faces.enroll:enroll", "Put a person into a gallery."),
    "faces search": ("edgeproof.cli.faces.search:search", "Who of a gallery is in a picture."),
    "faces identify": (
        "edgeproof.cli.faces.identify:identify",
        "Who of a gallery is in a folder, a video or a camera's view.",
    ),
    "faces people": ("edgeproof.cli.faces.people:people", "Who is in a gallery."),
    "faces forget": ("edgeproof.cli.faces.forget:forget", "Take a person out of a gallery for good."),
    "faces export": (
        "edgeproof.cli.faces.export:export",
        "Everything that a gallery holds about one person.",
    ),
    "faces report": (
        "edgeproof.cli.faces.gallery:report",
        "A gallery's own error rates, and the threshold for a wished one.",
    ),
    "faces settings": ("edgeproof.cli.faces.gallery:settings", "What a gallery keeps, and for how long."),
    "faces migrate": ("edgeproof.cli.faces.gallery:migrate", "Take a gallery over to another network."),
    "faces rekey": ("edgeproof.cli.faces.gallery:rekey", "Give a gallery another key."),
    "faces benchmark": (
        "edgeproof.cli.faces.benchmark:benchmark",
        "Measure the faces pipeline on pictures of yours.",
    ),
    "models list": (
        "edgeproof.cli.models:list_models",
        "The networks that can be had, and which are installed.",
    ),
    "models pull": ("edgeproof.cli.models:pull", "Fetch networks, checked against their digests."),
    "models verify": ("edgeproof.cli.models:verify", "Check the installed networks against their digests."),
    "models licences": ("edgeproof.cli.models:licences", "The licences of the networks."),
    "attributes": ("edgeproof.cli.attributes:attributes", "The age and gender of each face of pictures."),
    "attributes evaluate": (
        "edgeproof.cli.attributes:evaluate",
        "How right that is, on faces with known answers.",
    ),
    "detect": ("edgeproof.cli.detect:detect", "Find the objects in pictures and videos."),
    "detect evaluate": (
        "edgeproof.cli.detect_evaluate:evaluate",
        "How well objects are found, on pictures with known boxes.",
    ),
}
_INTERRUPTED = 130


class Verbs(click.Group):
    """The verbs of `VERBS`, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        for words in (2, 1):
            verb = " ".join(args[:words])
            if verb in VERBS:
                return verb, self.get_command(ctx, verb), args[words:]
        if ctx.resilient_parsing:
            return None, None, args
        raise UsageError(f"There is no command {args[0]!r}.", hint=did_you_mean(args[0], VERBS))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgeproof")
def cli() -> None:
    """Make a trained vision network fit an edge device, prove that it does, and run it there.

    \b
    Examples:
      edgeproof rotate ~/Pictures                     which photos are turned?
      edgeproof rotate ~/Pictures --out upright       write upright copies
      edgeproof fit orientation --data ~/Pictures --budget "p99<35ms, size<4MB"
      edgeproof check orientation.edge                on the device
      edgeproof import net.tflite --data ~/Pictures   any format to ONNX, checked
      edgeproof export net.onnx --to openvino         and out again

    \b
    Completion for bash (zsh and fish alike):
      eval "$(_EDGEPROOF_COMPLETE=bash_source edgeproof)"
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with CONTRACT's codes."""
    return_large_blocks()
    # As Ctrl-C: through every `finally`, so that workers end and temporary folders go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        code = _invoke(args)
        sys.stdout.flush()
        return int(code or 0)
    except EdgeproofError as error:
        complain(error)
        return error.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        complain(EdgeproofError("Interrupted.", hint="Nothing half-written was left."))
        return _INTERRUPTED
    except MemoryError:
        complain(
            EdgeproofError(
                "There is not enough memory for that.", hint="Close other programs, or give it less."
            )
        )
        return 1
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): not an error, and stdout must not be flushed again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _invoke(args: list[str] | None) -> Any:
    if "_EDGEPROOF_COMPLETE" in os.environ:
        cli.main(args, prog_name="edgeproof")
    # For the rest not click's main(), which makes exit 1 of a pipe that breaks.
    with cli.make_context("edgeproof", list(sys.argv[1:] if args is None else args)) as context:
        return cli.invoke(context)
