# A daemon that answers on a socket, and writes what it has in memory when it is told to end.
/usr/local/sbin/ubiq-probe:
  file.managed:
    - source: salt://web/files/default/daemon.py
    - mode: '0755'

/etc/init.d/ubiq-probe:
  file.managed:
    - source: salt://web/files/default/daemon.sh
    - mode: '0755'

ubiq-probe:
  service.running:
    - enable: True
    - watch:
      - file: /usr/local/sbin/ubiq-probe
      - file: /etc/init.d/ubiq-probe

/usr/local/sbin/ubiq-probe hello > /srv/answer:
  cmd.run:
    - creates: /srv/answer
    - require:
      - service: ubiq-probe
