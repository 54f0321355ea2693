"""`python -m edgeproof`, and the command `edgeproof`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C ends it without a traceback from its first moment on."""
    try:
        from edgeproof.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("edgeproof: Interrupted.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
