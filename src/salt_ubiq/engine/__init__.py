"""
All other use of the Docker engine.
"""
