"""
What is put into the runtime volume. Nothing here imports salt_ubiq: it runs in
containers, or under any Python 3.
"""
