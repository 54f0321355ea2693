"""Opening PyTorch's files without running what is in them; shared by the importer and the engine."""
