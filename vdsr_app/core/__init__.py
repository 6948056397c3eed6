"""The part without a window: network, pictures, engine. Imports no Qt."""
