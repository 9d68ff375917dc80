# PostgreSQL for a container: the image's command, postgresql-start, runs it in
# the foreground as the user postgres; the data is in a volume. No password is
# in the image: the first start takes them from the environment or from files.
{%- from "postgresql/map.jinja" import postgresql with context %}
{%- set config = '/etc/postgresql/container' %}
{%- set volume = '/var/lib/postgresql/data' %}

# Before the package, which would take whatever ID is free.
postgres:
  group.present:
    - gid: {{ postgresql.uid }}
    - system: True
  user.present:
    - uid: {{ postgresql.uid }}
    - gid: {{ postgresql.uid }}
    - system: True
    - home: /var/lib/postgresql
    - createhome: False
    - shell: /bin/bash
    - fullname: PostgreSQL administrator
    - require:
      - group: postgres

# Before the package, which would create a cluster in the image. Its own
# createcluster.conf reads this directory.
/etc/postgresql-common/createcluster.d/container.conf:
  file.managed:
    - contents: create_main_cluster = false
    - makedirs: True

postgresql:
  pkg.installed:
    - name: {{ postgresql.package }}
    - install_recommends: False
    - require:
      - user: postgres
      - file: /etc/postgresql-common/createcluster.d/container.conf

# A key that every container of the image shares, with a certificate.
postgresql-no-snakeoil:
  cmd.run:
    - name: >-
        find /etc/ssl/certs /etc/ssl/private
        '(' -name 'ssl-cert-snakeoil.*' -o -lname 'ssl-cert-snakeoil.*' ')' -delete
    - onlyif: test -e /etc/ssl/private/ssl-cert-snakeoil.key
    - require:
      - pkg: postgresql

{{ config }}:
  file.directory:
    - require:
      - pkg: postgresql

{{ config }}/postgresql.conf:
  file.managed:
    - source: salt://postgresql/postgresql.conf
    - template: jinja
    - context:
        config: {{ config }}
        settings: {{ postgresql.settings | json }}
    - require:
      - file: {{ config }}

{{ config }}/pg_hba.conf:
  file.managed:
    - source: salt://postgresql/pg_hba.conf
    - template: jinja
    - context:
        hba: {{ postgresql.hba | json }}
    - require:
      - file: {{ config }}

{{ config }}/first-start:
  file.managed:
    - source: salt://postgresql/first-start
    - template: jinja
    - context:
        locale: {{ postgresql.locale }}
        users: {{ postgresql.users | json }}
        databases: {{ postgresql.databases | json }}
    - require:
      - file: {{ config }}

/usr/local/bin/postgresql-start:
  file.managed:
    - source: salt://postgresql/postgresql-start
    - mode: '0755'

# A new volume takes owner and mode from here.
{{ volume }}:
  file.directory:
    - user: postgres
    - group: postgres
    - mode: '0700'
    - require:
      - pkg: postgresql

# Where the socket is; the package leaves it to an init system.
/run/postgresql:
  file.directory:
    - user: postgres
    - group: postgres
    - mode: '2775'
    - require:
      - pkg: postgresql

# An unknown setting or a wrong value fails the build.
postgresql-configuration-valid:
  cmd.run:
    - name: >-
        runuser -u postgres -- /usr/lib/postgresql/*/bin/postgres
        -D {{ volume }} -c config_file={{ config }}/postgresql.conf -C hba_file
    - cwd: /
    - onchanges:
      - file: {{ config }}/postgresql.conf
    - require:
      - file: {{ volume }}
