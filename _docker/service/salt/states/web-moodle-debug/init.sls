# What debugging the web server needs: its log in full, its state on the loopback
# address, and tools to look at its processes and packets.
{%- from "web-moodle/map.jinja" import nginx with context %}

include:
  - web-moodle

web-moodle-debug-packages:
  pkg.installed:
    - pkgs: {{ nginx.debug.packages | json }}
    - install_recommends: False

/etc/nginx/conf.d/debug.conf:
  file.managed:
    - source: salt://web-moodle-debug/debug.conf
    - template: jinja
    - context:
        debug: {{ nginx.debug | json }}
    - require:
      - pkg: nginx

nginx-debug-configuration-valid:
  cmd.run:
    - name: nginx -t -q -g 'pid /dev/null;'
    - onchanges:
      - file: /etc/nginx/conf.d/debug.conf
