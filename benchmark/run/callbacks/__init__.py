"""Lightning callbacks of a run: checkpoints, progress, time and memory, mirrors."""
