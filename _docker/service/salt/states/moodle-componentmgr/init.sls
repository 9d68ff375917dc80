# What builds a Moodle site from its parts: PHP, Composer, git and, where the pillar
# says from where, ComponentManager (componentmgr).
{%- from "moodle-componentmgr/map.jinja" import componentmgr with context %}

moodle-componentmgr:
  pkg.installed:
    - pkgs: {{ componentmgr.packages | json }}
    - install_recommends: False
{%- if componentmgr.source %}

/usr/local/bin/componentmgr:
  file.managed:
    - source: {{ componentmgr.source | json }}
    - source_hash: {{ componentmgr.source_hash | json }}
    - mode: '0755'
    - require:
      - pkg: moodle-componentmgr

# Salt says above what went wrong, and this what to do.
moodle-componentmgr-source:
  test.fail_without_changes:
    - comment: >-
        no ComponentManager from {{ componentmgr.source }}: set pillar
        moodle-componentmgr:source to an address that this build reaches, and
        moodle-componentmgr:source_hash to the SHA-256 of what is there
    - onfail:
      - file: /usr/local/bin/componentmgr

# A file that this PHP can't run fails the build.
componentmgr-runs:
  cmd.run:
    - name: componentmgr --version
    - cwd: /
    - env:
      - PATH: /usr/local/bin:/usr/bin:/bin
    - onchanges:
      - file: /usr/local/bin/componentmgr
{%- endif %}
