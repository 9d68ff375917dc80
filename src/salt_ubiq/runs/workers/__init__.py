"""
Where a slot runs: a process on this machine, or a minion.
"""
