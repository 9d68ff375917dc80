"""
What is declared: pillar to typed, validated images, and the order among them.
"""
