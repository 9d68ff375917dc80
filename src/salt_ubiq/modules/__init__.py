"""
Execution modules of Salt: they parse arguments, call the API, translate errors.
"""
