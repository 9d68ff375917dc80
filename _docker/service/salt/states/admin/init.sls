# What every service image has: locales, time zone, tools, an unprivileged user.
{%- from "admin/map.jinja" import admin with context %}

# The base has no package lists. Salt fetches them once in a state run, when the
# first package is missing; `refresh: True` would fetch them for every state.
admin-packages:
  pkg.installed:
    - pkgs: {{ (['locales', 'tzdata'] + admin.packages) | json }}
    - install_recommends: False

# The whole file instead of locale.present, which leaves a backup of it behind.
/etc/locale.gen:
  file.managed:
    - source: salt://admin/locale.gen
    - template: jinja
    - context:
        locales: {{ admin.locales | json }}
    # locale-gen succeeds even with locales that it doesn't know.
    - check_cmd: sh -c '! grep -vx -e "#.*" -f /usr/share/i18n/SUPPORTED "$0"'
    - require:
      - pkg: admin-packages

admin-locales:
  cmd.run:
    - name: locale-gen
    - onchanges:
      - file: /etc/locale.gen

/etc/default/locale:
  file.managed:
    - contents: LANG={{ admin.default_locale }}
    - require:
      - pkg: admin-packages

/usr/share/zoneinfo/{{ admin.timezone }}:
  file.exists:
    - require:
      - pkg: admin-packages

/etc/localtime:
  file.symlink:
    - target: /usr/share/zoneinfo/{{ admin.timezone }}
    - force: True
    - require:
      - file: /usr/share/zoneinfo/{{ admin.timezone }}

/etc/timezone:
  file.managed:
    - contents: {{ admin.timezone }}
    - require:
      - file: /usr/share/zoneinfo/{{ admin.timezone }}

admin-user:
  group.present:
    - name: {{ admin.user.name }}
    - gid: {{ admin.user.uid }}
  user.present:
    - name: {{ admin.user.name }}
    - uid: {{ admin.user.uid }}
    - gid: {{ admin.user.uid }}
    - shell: {{ admin.user.shell }}
    - home: /home/{{ admin.user.name }}
    - require:
      - group: admin-user
      - pkg: admin-packages
