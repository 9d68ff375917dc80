"""
Images in registries.
"""
