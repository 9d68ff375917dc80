# The servers' document roots and the pages that the pillar declares for them.
{%- from "web-moodle/map.jinja" import servers with context %}
{%- for name, server in servers.items() %}

{{ name }}-root:
  file.directory:
    - name: {{ server.root }}
    - makedirs: True
    - mode: '0755'
{%- for file, page in server.pages.items() %}

{{ name }}-page-{{ file }}:
  file.managed:
    - name: {{ server.root }}/{{ file }}
    - source: salt://web-moodle/site/page.html
    - template: jinja
    - context:
        page: {{ page | json }}
    - mode: '0644'
    - require:
      - file: {{ name }}-root
{%- endfor %}
{%- endfor %}
