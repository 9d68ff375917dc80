"""
Looking after a host and the images on it.
"""
