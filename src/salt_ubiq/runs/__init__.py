"""
Many images in order: what is to be done, where, at which time, and the record of it.
"""
