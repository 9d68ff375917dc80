# The web server in front of Moodle. Each part of it is an SLS of its own.
include:
  - .nginx
  - .site
