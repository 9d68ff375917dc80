# Node.js in named versions side by side, /opt/node/VERSION, one of them on PATH.
{%- from "nvm/map.jinja" import default, releases, remedy with context %}

nvm-packages:
  pkg.installed:
    - pkgs: [ca-certificates, libatomic1, libstdc++6, xz-utils]
    - install_recommends: False
{%- for version, parts in releases.items() %}
{%- set directory = '/opt/node/' ~ version %}
{%- set modules = directory ~ '/lib/node_modules' %}
{%- for part, file in parts.items() %}

nvm-{{ part }}-{{ version }}:
  archive.extracted:
    - name: {{ directory if part == 'node' else modules ~ '/npm' }}
    - source: {{ file.source }}
    - source_hash: {{ file.hash }}
    - if_missing: {{ directory ~ '/bin/node' if part == 'node' else modules ~ '/npm/bin/npm-cli.js' }}
    # Both in the options of tar: without, Salt looks for the files where they are not.
    - options: --strip-components=1 --no-same-owner
    - enforce_toplevel: False
    - trim_output: 10
    - keep_source: False
    - require:
      - pkg: nvm-packages

# Salt says above what went wrong, and this what to do.
nvm-{{ part }}-{{ version }}-remedy:
  test.fail_without_changes:
    - comment: {{ ('no ' ~ part ~ ' for Node.js ' ~ version ~ ' from ' ~ file.source ~ ': ' ~ remedy) | json }}
    - onfail:
      - archive: nvm-{{ part }}-{{ version }}
{%- endfor %}
{%- if 'npm' in parts %}
{%- for program in ['npm', 'npx'] %}

{{ directory }}/bin/{{ program }}:
  file.symlink:
    - target: ../lib/node_modules/npm/bin/{{ program }}-cli.js
    - require:
      - archive: nvm-node-{{ version }}
      - archive: nvm-npm-{{ version }}
{%- endfor %}
{%- endif %}

# One that doesn't run in this image, or says it is another, fails the build.
nvm-runs-{{ version }}:
  cmd.run:
    - name: test "$({{ directory }}/bin/node --version)" = v{{ version }}
    - onchanges:
      - archive: nvm-node-{{ version }}
{%- endfor %}

# So that what `npm install --global` installs is on PATH.
/opt/node/{{ default }}/lib/node_modules/npm/npmrc:
  file.managed:
    - contents: prefix=/usr/local
    - require:
      - archive: nvm-{{ 'npm' if 'npm' in releases[default] else 'node' }}-{{ default }}
{%- for program in ['node', 'npm', 'npx'] %}

/usr/local/bin/{{ program }}:
  file.symlink:
    - target: /opt/node/{{ default }}/bin/{{ program }}
    - require:
      - archive: nvm-node-{{ default }}
{%- endfor %}
