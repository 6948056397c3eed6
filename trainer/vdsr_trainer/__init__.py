"""Training of VDSR: configuration, data, loop, checkpoints."""
