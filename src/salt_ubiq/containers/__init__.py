"""
Containers of builds: Salt in them, what they work in, and the client that `docker.sls_build` gets.
"""
