base:
  '*':
    - ubiq
    - admin
    - web-moodle
    - postgresql
