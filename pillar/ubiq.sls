# The catalogue: every image that is built, and what it is built from.
ubiq:
  # What the states read of pillar: a change of another key is no change of their images.
  pillar_keys:
    admin: [admin]
    app-moodle: [moodle, php]
    app-moodle-debug: [moodle, php]
    moodle-componentmgr: [moodle-componentmgr]
    nvm: [nvm]
    postgresql: [postgresql]
    selenium.server: [selenium]
    selenium.node: [selenium]
    selenium-hub: [selenium]
    selenium-node-chrome: [selenium]
    selenium-node-firefox: [selenium]
    web-moodle: [nginx]
    web-moodle-debug: [nginx]

  bases:
    debian-python:
      repository: ubiquitous/debian-python
      tags: ['12']
      dockerfile: salt://_docker/debian-python
      buildargs:
        FROM: debian:12-slim
      # Makes debian:12-slim where the engine lacks it; no registry is needed.
      bootstrap:
        image: debian:12-slim
        suite: bookworm
        variant: minbase

  services:
    moodle-web:
      repository: ubiquitous/moodle-web
      base: debian-python
      mods: [admin, web-moodle]
      config:
        cmd: [nginx, -g, daemon off;]
        exposed_ports: [80/tcp]
        env: {LANG: en_US.UTF-8}
        stop_signal: SIGQUIT  # nginx ends after the requests it is at
        healthcheck:
          test: [curl, -fsS, -o, /dev/null, http://localhost/]
      verify:
        - cmd: nginx -t
        - port: 80
        - http: {text: <title>Moodle</title>}

    moodle-web-debug:
      repository: ubiquitous/moodle-web-debug
      base: debian-python
      mods: [admin, web-moodle, web-moodle-debug]
      config:
        cmd: [nginx, -g, daemon off;]
        exposed_ports: [80/tcp]
        env: {LANG: en_US.UTF-8}
        stop_signal: SIGQUIT
        healthcheck:
          test: [curl, -fsS, -o, /dev/null, http://localhost/]
      verify:
        - cmd: nginx -t
        - http: {port: 8081, path: /status, text: Active connections}

    moodle-app:
      repository: ubiquitous/moodle-app
      base: debian-python
      mods: [admin, app-moodle]
      config:
        cmd: [php-fpm, --nodaemonize]
        user: www-data
        exposed_ports: [9000/tcp]
        volumes: [/var/lib/moodle]
        env: {LANG: en_US.UTF-8}
        stop_signal: SIGQUIT  # PHP-FPM ends after the requests it is at
        healthcheck:
          test: [php-fpm-ping]
      verify:
        - cmd: php-fpm --test
        - cmd: php -l /etc/moodle/config.php
        - port: 9000
        - healthy: true

    moodle-app-debug:
      repository: ubiquitous/moodle-app-debug
      base: debian-python
      mods: [admin, app-moodle, app-moodle-debug]
      config:
        cmd: [php-fpm, --nodaemonize]
        user: www-data
        exposed_ports: [9000/tcp]
        volumes: [/var/lib/moodle]
        env: {LANG: en_US.UTF-8}
        stop_signal: SIGQUIT
        healthcheck:
          test: [php-fpm-ping]
      verify:
        - cmd: php -m | grep -x Xdebug
        - healthy: true

    moodle-build:
      repository: ubiquitous/moodle-build
      base: debian-python
      mods: [admin, moodle-componentmgr, nvm]
      config:
        cmd: [bash, --login]
        user: ubiquitous
        working_dir: /home/ubiquitous
        env: {LANG: en_US.UTF-8}
      verify:
        - cmd: composer --version
        - cmd: npm --version
        - cmd: git --version
        - cmd: node --version

    postgresql:
      repository: ubiquitous/postgresql
      base: debian-python
      mods: [admin, postgresql]
      config:
        cmd: [postgresql-start]
        user: postgres
        exposed_ports: [5432/tcp]
        volumes: [/var/lib/postgresql/data]
        env: {LANG: C.UTF-8}
        stop_signal: SIGINT  # fast: SIGTERM would wait for all clients to leave
        healthcheck:
          test: [pg_isready, -q]
      verify:
        - healthy: true
          environment: {MOODLE_PASSWORD: of-this-check}

    selenium-hub:
      repository: ubiquitous/selenium-hub
      base: debian-python
      mods: [admin, selenium.server, selenium-hub]
      config:
        cmd: [selenium-hub]
        user: selenium
        working_dir: /home/selenium
        exposed_ports: [4442/tcp, 4443/tcp, 4444/tcp]
        env: {LANG: en_US.UTF-8}
        healthcheck:
          test: [curl, -fsS, -o, /dev/null, http://localhost:4444/status]
      verify:
        - port: 4444
        - healthy: true
          timeout: 60

    selenium-node-chrome:
      repository: ubiquitous/selenium-node-chrome
      base: debian-python
      mods: [admin, selenium.server, selenium.node, selenium-node-chrome]
      config:
        cmd: [selenium-node]
        user: selenium
        working_dir: /home/selenium
        exposed_ports: [5555/tcp]
        env: {LANG: en_US.UTF-8}
        healthcheck:
          test: [curl, -fsS, -o, /dev/null, http://localhost:5555/status]
      verify:
        - cmd: chromium --headless --dump-dom data:text/html,works | grep works
        - cmd: chromedriver --version
        - healthy: true
          environment: {SELENIUM_HUB: localhost}  # where there is none
          timeout: 60

    selenium-node-firefox:
      repository: ubiquitous/selenium-node-firefox
      base: debian-python
      mods: [admin, selenium.server, selenium.node, selenium-node-firefox]
      config:
        cmd: [selenium-node]
        user: selenium
        working_dir: /home/selenium
        exposed_ports: [5555/tcp]
        env: {LANG: en_US.UTF-8}
        healthcheck:
          test: [curl, -fsS, -o, /dev/null, http://localhost:5555/status]
      verify:
        - cmd: firefox-esr --version
        - cmd: geckodriver --version
        - healthy: true
          environment: {SELENIUM_HUB: localhost}  # where there is none
          timeout: 60
