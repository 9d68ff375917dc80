# A node of a Selenium grid with Chromium, which answers to the name chrome.
{%- from "selenium/map.jinja" import selenium with context %}
{%- from "selenium/macros.jinja" import node_configured with context %}

include:
  - selenium.node

selenium-chromium:
  pkg.installed:
    - pkgs: [chromium, chromium-driver]
    - install_recommends: False

# Debian's chromium reads this on every start, whoever starts it.
/etc/chromium.d/selenium:
  file.managed:
    - contents: export CHROMIUM_FLAGS="$CHROMIUM_FLAGS {{ selenium.chromium.flags | join(' ') }}"
    - require:
      - pkg: selenium-chromium
{{ node_configured('chrome', '/usr/bin/chromedriver') }}
