# The hub of a Selenium grid, for a container: the image's command, selenium-hub,
# runs it in the foreground on port 4444. Nodes also need 4442 and 4443.
{%- from "selenium/map.jinja" import major with context %}

include:
  - selenium.server

/usr/local/bin/selenium-hub:
  file.managed:
    - contents: |
        #!/bin/sh
        # Written by the state selenium-hub; arguments go to the hub.
        exec java -jar /opt/selenium/server.jar {{ 'hub' if major == 4 else '-role hub' }} "$@"
    - mode: '0755'
