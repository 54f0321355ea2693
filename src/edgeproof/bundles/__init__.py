"""Bundles: a model sealed with what it needs to run and the evidence that it fits.

NAME.edge/
    manifest.json    what it is, what it needs, the digest of each file (and of itself)
    model.onnx       the network
    golden.npz       inputs and outputs, replayed by `edgeproof check`
    evidence.json    raw measurements, the accuracy test, the budget's verdict

And the published networks that bundles are made of: `catalogue` knows them by name, `pull` fetches them, `store` finds
the installed ones.
"""
