"""What `import edgeproof` gives."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgeproof as ep
from bundles.sample_bundles import packed
from edgeproof.core.errors import BundleError
from imaging.picture_files import scene


@pytest.mark.parametrize("name", ep.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ep, name) is not None
    assert name in dir(ep)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Orientatoin'"):
        ep.Orientatoin  # noqa: B018


def test_the_calls_of_the_first_page(tmp_path: Path) -> None:
    result = ep.Orientation()(scene(300, 200))
    assert isinstance(result, ep.OrientationResult)
    assert result.turn in (0, 90, 180, 270)
    assert [clause.metric for clause in ep.Budget.parse("p99<35ms, drop<1%")] == ["p99", "drop"]
    packed(tmp_path / "o.edge")
    bundle = ep.open_bundle(tmp_path / "o.edge")
    assert isinstance(bundle, ep.Bundle)
    bundle.model.write_bytes(b"changed")
    with pytest.raises(ep.EdgeproofError) as caught:
        ep.open_bundle(tmp_path / "o.edge")
    assert isinstance(caught.value, BundleError)
