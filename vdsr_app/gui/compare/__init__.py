"""The comparison view: two halves of a picture under a wipe, side by side or one alone; zoom, pan, keys and mouse."""
