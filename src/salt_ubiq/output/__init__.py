"""
Outputters of Salt.
"""
