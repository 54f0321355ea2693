"""Work that flows: bounded, in order, on every core."""
