"""Write docs/reference/: the commands and the budget's grammar, from the code that defines them.

python tools/reference.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click

from edgeproof.cli.main import VERBS, cli
from edgeproof.core.budget import METRICS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py; tests/test_docs.py checks that it is up to date. -->\n"


def pages() -> dict[str, str]:
    """Each page's text by its file name."""
    return {"cli.md": cli_page(), "budget.md": budget_page()}


def cli_page() -> str:
    """Every verb: usage, what it does, arguments and options."""
    context = click.Context(cli, info_name="edgeproof")
    parts = [
        NOTE + "# The commands\n",
        "Every command prints for people on stderr and, with `--json`, exactly one document on stdout. Exit codes: "
        "0 done, 1 something failed or the budget can't be met, 2 asked for in a way that can't be taken, "
        "130 interrupted.\n",
    ]
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        parts.append(command_section(verb, command))
    return "\n".join(parts)


def command_section(verb: str, command: click.Command) -> str:
    """One verb."""
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    usage = " ".join(["edgeproof", verb, "[OPTIONS]", *(argument.metavar or "" for argument in arguments)])
    rows = [option_row(option) for option in options]
    return "\n".join(
        [
            f"## edgeproof {verb}\n",
            f"```text\n{usage}\n```\n",
            prose(inspect.cleandoc(command.help or "")),
            "| option | default | |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def option_row(option: click.Option) -> str:
    """One row of an option table."""
    value = ""
    if not option.is_flag:
        choices = option.type.choices if isinstance(option.type, click.Choice) else ()
        value = " " + (option.metavar or "|".join(map(str, choices)) or option.type.name.upper())
    default = f"`{option.default}`" if option.show_default and not option.is_flag else ""
    names = cell(f"`{', '.join(option.opts)}{value}`")
    needed = " Required." if option.required else ""
    return f"| {names} | {default} | {cell(option.help or '')}{needed} |"


def prose(text: str) -> str:
    """Click's help text to Markdown: a block after the mark for "as it is" becomes a code block."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("\b\n"):
            title, *lines = paragraph.removeprefix("\b\n").splitlines()
            paragraphs.append(f"{title}\n\n```text\n" + inspect.cleandoc("\n".join(lines)) + "\n```\n")
        else:
            paragraphs.append(paragraph + "\n")
    return "\n".join(paragraphs)


def budget_page() -> str:
    """The clauses of a budget and their units."""
    rows = []
    for name, metric in METRICS.items():
        units = ", ".join(f"`{unit}`" if unit else "none" for unit in metric.units)
        rows.append(f"| `{name}` | `{cell(metric.bound)}` | {units} | {metric.meaning} |")
    return "\n".join(
        [
            NOTE + "# The budget\n",
            "What a device allows: clauses with commas between them, each a name, `<` or `>`, a number and a unit.\n",
            '```text\n--budget "p99<35ms, rss<200MB, size<4MB, drop<1%"\n```\n',
            "| clause | bound | units | what it bounds |",
            "|---|---|---|---|",
            *rows,
            "",
            "The same as a file, given as `--budget device.toml`:\n",
            '```toml\n[budget]\np99 = "<35ms"\nrss = "<200MB"\n```\n',
            "Sizes: 1 MB is 10^6 bytes, 1 MiB is 2^20. `drop` is in points of accuracy: `drop<1%` allows 80.0 % to "
            "become 79.1 %. Accuracy is always gated: without a `drop` clause `fit` adds its own.\n",
            "Each clause gets a verdict with its value, its 95 % interval and its margin:\n",
            "| verdict | meaning |",
            "|---|---|",
            "| pass | the whole interval is inside the limit |",
            "| fail | the whole interval is outside |",
            "| not enough evidence | the limit is inside the interval, or the sample is too small for the "
            "percentile; it says how many photos or runs would settle it |",
            "| not measured | this machine has no sensor for it |",
            "",
            "A candidate is chosen only when every clause passes.",
            "",
        ]
    )


def cell(text: str) -> str:
    """Text that can stand in a table."""
    return text.replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
