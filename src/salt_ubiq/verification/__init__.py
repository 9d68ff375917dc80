"""
Whether an image is what it has to be.
"""
