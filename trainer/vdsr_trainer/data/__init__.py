"""Training pictures: found, checked, split, degraded, and cut into batches."""
