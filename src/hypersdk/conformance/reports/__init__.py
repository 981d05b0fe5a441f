"""Reports of a run, all made from one model: `results.Run`."""
