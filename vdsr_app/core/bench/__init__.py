"""How fast and how large the engine is on this machine, beside other programs: `vdsr bench`.

Each way of computing works in a process of its own (`child`), so that its memory is its own; the parent (`race`) lets
them work in turn, so that whatever else the machine does meets all alike.
"""
