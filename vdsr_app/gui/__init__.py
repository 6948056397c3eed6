"""The graphical user interface. Imports no torch and starts no threads."""
