"""The "Train" workspace: the wizard, the list of runs, their plots and results."""
