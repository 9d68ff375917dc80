"""
State modules of Salt, on top of the execution modules.
"""
