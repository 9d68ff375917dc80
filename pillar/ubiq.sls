# The catalogue: every image that is built, and what it is built from.
ubiq:
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
