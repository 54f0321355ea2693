"""Why a network or a task is slow, unsteady, large or hot: found by experiment."""
