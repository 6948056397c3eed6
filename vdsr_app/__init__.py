"""VDSR Studio: upscale pictures with a very deep residual network, and train it."""

__version__ = "0.1.0"
