"""The verbs of `edgeproof faces`, one file each."""
