# A node of a Selenium grid with Firefox.
{%- from "selenium/map.jinja" import geckodriver, selenium with context %}
{%- from "selenium/macros.jinja" import fetched, node_configured with context %}
{%- if grains.osarch != 'amd64' and not selenium.geckodriver.get('source') %}
  {{- raise('selenium:geckodriver:source: missing, for ' ~ grains.osarch ~ ' there is no default') }}
{%- endif %}

include:
  - selenium.node

selenium-firefox:
  pkg.installed:
    - pkgs: [firefox-esr]
    - install_recommends: False
{{ fetched('/usr/local/bin/geckodriver', geckodriver, '0755', 'geckodriver\\(_linux64\\)?',
           'set pillar selenium:geckodriver:source and source_hash to a geckodriver') }}
{{ node_configured('firefox', '/usr/local/bin/geckodriver') }}
