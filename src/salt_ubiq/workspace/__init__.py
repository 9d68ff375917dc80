"""
What a host keeps of builds: slots, locks, logs, and how files of it are written.
"""
