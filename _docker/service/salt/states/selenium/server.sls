# What hub and nodes have in common: Java, the Selenium server, and the
# unprivileged user that it runs as.
{%- from "selenium/map.jinja" import jar, selenium with context %}
{%- from "selenium/macros.jinja" import fetched with context %}

selenium-java:
  pkg.installed:
    - pkgs: [ca-certificates, default-jre-headless]
    - install_recommends: False

# What the package's own Java programs leave behind.
/tmp/hsperfdata_root:
  file.absent:
    - require:
      - pkg: selenium-java

selenium-user:
  group.present:
    - name: selenium
    - gid: {{ selenium.uid }}
  user.present:
    - name: selenium
    - uid: {{ selenium.uid }}
    - gid: {{ selenium.uid }}
    - home: /home/selenium
    - shell: /usr/sbin/nologin
    - require:
      - group: selenium-user
{{ fetched('/opt/selenium/server.jar', jar, '0644', 'selenium-server[^/]*\\.jar',
           'set pillar selenium:registry to a copy of npm\'s registry, '
           ~ 'or selenium:source and selenium:source_hash to a server\'s jar') }}
