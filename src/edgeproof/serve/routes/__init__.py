"""All routes: one file for each kind."""

from __future__ import annotations

from edgeproof.serve.endpoints import Endpoint
from edgeproof.serve.routes import about, comparison, inference, pictures
from edgeproof.serve.settings import Settings


def endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """The routes of a service with these settings."""
    served = settings.served
    return (
        *about.ENDPOINTS,
        *pictures.endpoints(served),
        *comparison.endpoints(served),
        *(_of_galleries() if settings.galleries else ()),
        *inference.ENDPOINTS,
    )


def _of_galleries() -> tuple[Endpoint, ...]:
    # A service without galleries does without what their names and times are read with.
    from edgeproof.serve.routes import gallery

    return gallery.ENDPOINTS
