"""The clean-up rules of `simplify`, one file each: `rule(model) -> int` changes the model, counts how
often."""
