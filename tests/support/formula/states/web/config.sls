{%- from "web/map.jinja" import web with context %}
{%- from "web/libtofs.jinja" import files_switch with context %}

web-group:
  group.present:
    - name: {{ web.user }}
    - gid: 2001

web-user:
  user.present:
    - name: {{ web.user }}
    - uid: 2001
    - gid: 2001
    - home: /home/{{ web.user }}
    - shell: /bin/sh
    - require:
      - group: web-group

/srv/web:
  file.directory:
    - user: {{ web.user }}
    - mode: '0750'
    - require:
      - user: web-user

/srv/web/web.conf:
  file.managed:
    - source: {{ files_switch(['web.conf', 'web.conf.jinja']) }}
    - template: jinja
    - user: {{ web.user }}
    - group: {{ web.user }}
    - mode: '0640'
    - context:
        web: {{ web | json }}
    - require:
      - file: /srv/web

/srv/web/run.sh:
  file.managed:
    - source: salt://web/files/default/run.sh
    - mode: keep
    - require:
      - file: /srv/web

/srv/web/tree:
  file.recurse:
    - source: salt://web/tree
    - file_mode: keep
    - dir_mode: '0751'
    - include_empty: True
    - keep_symlinks: True
    - exclude_pat: '*.bak'
    - require:
      - file: /srv/web

/srv/web/asked:
  file.managed:
    - contents:
        - "of the host: {{ salt['file.file_exists'](pillar['of_host']) }}"
        - "of the image: {{ salt.file.file_exists('/etc/debian_version') }}"
        - "home: {{ salt['user.info']('games').home }}"
        - "codename: {{ salt['cmd.run']('. /etc/os-release; echo $VERSION_CODENAME', python_shell=True) }}"
        - "own: {{ salt['own.shout']('asked') }}"
        - "own, of pillar: {{ salt['words.of_pillar'](0) }}"
        - "grain: {{ grains['shape'] }} {{ salt['grains.get']('shape') }}"
        - "config: {{ salt['config.get']('flavour') }}"
        - "words: {{ web.words | join(' ') }} {{ web.port }} {{ web.suffix }}"
    - require:
      - file: /srv/web
