"""The comparison view: two layers of a picture under a wipe, side by side or one at a time; zoom, pan, keys, mouse."""
