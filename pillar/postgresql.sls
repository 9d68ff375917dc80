# The state postgresql. Everything is optional; what isn't said to be an example
# shows the default. Lists replace the default, mappings are merged with it.
postgresql:
  package: postgresql
  # Of the user and group postgres, the owner of the data in the volume.
  uid: 999
  # Of new clusters, and of databases that don't say otherwise.
  locale: C.UTF-8

  # Created at the container's first start, that is with an empty volume, and
  # left alone later. No password is ever in the pillar or in the image: these
  # say where the container finds it, in a variable of its environment or in a
  # mounted file (one of the two is enough; the variable goes first).
  users:
    # An example; by default there is none.
    moodle:
      password_env: MOODLE_PASSWORD
      password_file: /run/secrets/moodle
  databases:
    # An example; by default there is none. The defaults of a database are
    # owner postgres, encoding UTF8 and the locale above.
    moodle:
      owner: moodle

  # The lines of pg_hba.conf.
  hba:
    - local all postgres peer
    - local all all scram-sha-256
    - host all all all scram-sha-256

  # Lines of postgresql.conf; any other setting can be added.
  settings:
    listen_addresses: '*'
    port: 5432
    timezone: Etc/UTC
    log_timezone: Etc/UTC
