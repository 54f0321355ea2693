"""What every other part stands on: values, errors, protocols, the registry. Imports nothing of ours."""
