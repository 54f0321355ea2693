"""What answers for each task, in a worker process: one file each."""
