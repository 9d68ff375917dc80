"""
What an image is made of, and what has changed in it.
"""
