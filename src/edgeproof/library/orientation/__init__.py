"""Which photos are turned, and putting them upright."""
