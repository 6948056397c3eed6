"""Speed and memory of the engine on this machine, compared with other programs: `vdsr bench`.

Each way of computing runs in a process of its own (`child`), so that its memory can be measured; the parent (`race`)
runs them in turn, so that other load on the machine affects all alike.
"""
