base:
  '*':
    - ubiq
    - admin
    - web-moodle
    - app-moodle
    - moodle-componentmgr
    - postgresql
    - nvm
    - selenium
