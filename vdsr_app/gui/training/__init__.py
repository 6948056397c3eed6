"""The workspace "Train": a wizard, the runs, their plots and results."""
