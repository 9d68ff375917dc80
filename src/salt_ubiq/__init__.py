"""
salt-ubiq: Docker images from Salt states, ordered, finished and verified.
"""
