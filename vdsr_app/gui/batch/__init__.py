"""The "Batch" workspace: whole folders of pictures, what is made of them, and their progress."""
