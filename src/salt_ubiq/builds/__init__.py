"""
Making one image: from the lock on its name to its tags.
"""
