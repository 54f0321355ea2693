"""Whether a candidate still answers as the original does: tensors, accuracy, confidence."""
