"""The window. Imports no torch and starts no thread."""
