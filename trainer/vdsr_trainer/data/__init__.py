"""Training pictures: found, judged, split, degraded, and cut into batches."""
