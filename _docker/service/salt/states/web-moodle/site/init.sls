# The servers' document roots and the pages that the pillar declares for them. The
# error pages are elsewhere: a volume that is mounted on the root would hide them.
{%- from "web-moodle/map.jinja" import servers with context %}
{%- for name, server in servers.items() %}

{{ name }}-root:
  file.directory:
    - name: {{ server.root }}
    - makedirs: True
    - mode: '0755'

{{ name }}-error-root:
  file.directory:
    - name: {{ server.error_root }}
    - makedirs: True
    - mode: '0755'
{%- for file, page in server.pages.items() %}
{%- set is_error_page = '/' ~ file in server.error_pages.values() %}

{{ name }}-page-{{ file }}:
  file.managed:
    - name: {{ server.error_root if is_error_page else server.root }}/{{ file }}
    - source: salt://web-moodle/site/page.html
    - template: jinja
    - context:
        page: {{ page | json }}
    - mode: '0644'
    - require:
      - file: {{ name }}-root
      - file: {{ name }}-error-root
{%- endfor %}
{%- endfor %}
