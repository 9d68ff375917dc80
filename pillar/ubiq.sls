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
        stop_signal: SIGQUIT

    postgresql:
      repository: ubiquitous/postgresql
      base: debian-python
      mods: [admin, postgresql]
      config:
        cmd: [/usr/local/bin/postgresql-start]
        user: postgres
        exposed_ports: [5432/tcp]
        volumes: [/var/lib/postgresql/data]
        stop_signal: SIGINT
