"""
Runners of Salt.
"""
