# nginx for a container: it logs to the container's output, and the image's
# command runs it in the foreground (nginx -g 'daemon off;').
{%- from "web-moodle/map.jinja" import nginx, servers with context %}

nginx:
  pkg.installed:
    - install_recommends: False

/etc/nginx/nginx.conf:
  file.managed:
    - source: salt://web-moodle/nginx/nginx.conf
    - template: jinja
    - context:
        nginx: {{ {
          'user': nginx.user,
          'worker_processes': nginx.worker_processes,
          'worker_connections': nginx.worker_connections,
          'resolver': nginx.resolver,
        } | json }}
    - require:
      - pkg: nginx
{%- for name, server in servers.items() %}

/etc/nginx/sites-enabled/{{ name }}.conf:
  file.managed:
    - source: salt://web-moodle/nginx/site.conf
    - template: jinja
    - context:
        server: {{ server | json }}
    - require:
      - pkg: nginx
    - require_in:
      - file: /etc/nginx/sites-enabled
{%- endfor %}

# No other server than these: neither Debian's default site nor one that the
# pillar had when the image this one is built from was made.
/etc/nginx/sites-enabled:
  file.directory:
    - clean: True
    - require:
      - pkg: nginx

# An invalid configuration fails the build. What other SLS put below /etc/nginx they
# check themselves: were it covered here, this would run after it, and images with
# and without it could share no layer. Without `pid` an empty /run/nginx.pid is left.
nginx-configuration-valid:
  cmd.run:
    - name: nginx -t -q -g 'pid /dev/null;'
    - onchanges:
      - file: /etc/nginx/nginx.conf
      - file: /etc/nginx/sites-enabled*
