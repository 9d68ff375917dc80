"""
The keys of the labels that images, containers and volumes of ours have.
"""

LABEL = "org.salt-ubiq"
"""What all of them begin with."""

RECIPE, LOG = f"{LABEL}.recipe", f"{LABEL}.log"
MADE_OF = f"{LABEL}.made-of"
"""What the image tells of its recipe, see ``recipes/on_image.py``."""

ASKED = f"{LABEL}.asked"
"""What Salt asked for while the states ran, as JSON: names that are of the recipe."""
