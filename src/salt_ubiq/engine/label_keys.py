"""
The keys of the labels that images, containers and volumes of ours have.
"""

LABEL = "org.salt-ubiq"
"""What all of them begin with."""

RECIPE, LOG = f"{LABEL}.recipe", f"{LABEL}.log"
