"""Network, pictures and engine: everything without a window. Imports no Qt."""
