"""The command line: one file for each verb; only output.py prints."""
