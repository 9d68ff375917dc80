"""
Where a slot runs: a process on this machine, or a minion.

Not named ``executors``: Salt would load what is in a directory of that name.
"""
