# What nodes have in common: a display, and the command that runs the node with it.
# The browser and the node's configuration are those of selenium-node-BROWSER.
{%- from "selenium/map.jinja" import major, selenium with context %}

include:
  - selenium.server

# tini reaps what browsers leave behind, which Java as PID 1 would not. All browsers
# need GTK: from here, it is in the layer that their images share.
selenium-display:
  pkg.installed:
    - pkgs: {{ (['tini', 'xvfb', 'libgtk-3-0'] + selenium.packages) | json }}
    - install_recommends: False

# Xvfb can't make it as an unprivileged user, and complains about that.
/tmp/.X11-unix:
  file.directory:
    - mode: '1777'

/usr/local/bin/selenium-node:
  file.managed:
    - source: salt://selenium/selenium-node
    - template: jinja
    - context:
        major: {{ major }}
        hub: {{ selenium.hub }}
        screen: {{ selenium.screen }}
    - mode: '0755'
