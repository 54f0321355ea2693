"""How old is a face, and of which gender? Families of networks, and the one class that asks them."""

from __future__ import annotations

from edgeproof.tasks.attributes.estimator import AttributeEstimator, builtin_model

__all__ = ["AttributeEstimator", "builtin_model"]
