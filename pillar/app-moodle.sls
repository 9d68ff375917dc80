# The states app-moodle and app-moodle-debug. Everything is optional and shows the
# default. Lists replace the default, mappings are merged with it, and `~` takes a
# setting away.
php:
  # Debian's: 8.2 in Debian 12, 8.4 in Debian 13.
  version: '8.2'
  # What Moodle needs; each is a package (php8.2-curl). The others that it requires
  # are in the package of PHP-FPM. MariaDB and MySQL need mysql in place of pgsql.
  extensions: [curl, gd, intl, mbstring, opcache, pgsql, soap, xml, zip]
  # Tools of the health check, and what keeps systemd out. Moodle can also use
  # aspell, ghostscript, graphviz and poppler-utils.
  packages: [libfcgi-bin, systemd-standalone-tmpfiles]

  # PHP's settings, for PHP-FPM and the command line; any other can be added. A
  # lane of the web server goes before them. ${NAME} is a variable of the container.
  values:
    date.timezone: Etc/UTC
    expose_php: false
    memory_limit: 128M
    max_execution_time: 60
    max_input_vars: 5000
    post_max_size: 64M
    upload_max_filesize: 64M
    log_errors: true
    # false: errors go to this container's output, not to the web server's.
    fastcgi.logging: false
    # Moodle keeps its own sessions in its data or, with session_handler_class
    # below, elsewhere.
    session.save_handler: files
    session.save_path: /var/lib/php/sessions
    opcache.memory_consumption: 128
    opcache.max_accelerated_files: 10000
    # Seconds until a changed file of the code is seen.
    opcache.revalidate_freq: 60

  # php-fpm.conf: the section global, the pool www, and pools of other names.
  fpm:
    global:
      error_log: /proc/self/fd/2
      daemonize: false
      systemd_interval: 0
      log_limit: 8192
      # For the requests at work when the container is stopped.
      process_control_timeout: 9s
    www:
      listen: 9000
      pm: dynamic
      pm.max_children: 10
      pm.start_servers: 2
      pm.min_spare_servers: 1
      pm.max_spare_servers: 3
      pm.max_requests: 1000
      # More than the slowest lane of the web server.
      request_terminate_timeout: 3660s
      ping.path: /ping
      # false: PHP sees the container's environment, as config.php needs.
      clear_env: false
      catch_workers_output: true
      decorate_workers_output: false

  # The state app-moodle-debug. Xdebug starts where a request asks for it.
  debug:
    packages: [lsof, procps, strace, tcpdump]
    values:
      display_errors: true
      display_startup_errors: true
      error_reporting: -1
      opcache.revalidate_freq: 0
      xdebug.mode: develop,debug
      xdebug.start_with_request: trigger
      xdebug.client_host: host.docker.internal
      xdebug.client_port: 9003
      xdebug.output_dir: /tmp

moodle:
  # Where Moodle's code is mounted, or copied to by an image built from this one.
  root: /var/www/moodle

  # The settings of config.php ($CFG), in /etc/moodle; any other can be added. Each
  # is a value, or says where the container finds it when it starts: `env`, a variable
  # of its environment, `file`, a mounted file, and `default`. No password is ever in
  # the pillar or in the image.
  config:
    dbtype: pgsql
    dblibrary: native
    dbhost: {env: MOODLE_DBHOST, default: postgresql}
    dbname: moodle
    dbuser: moodle
    dbpass: {env: MOODLE_PASSWORD, file: /run/secrets/moodle}
    prefix: mdl_
    dboptions: {}
    wwwroot: {env: MOODLE_WWWROOT, default: 'http://localhost'}
    # The volume; the catalogue names it, too.
    dataroot: /var/lib/moodle
    # Octal, in quotes.
    directorypermissions: '2770'
    admin: admin

  # The state app-moodle-debug sets these as well.
  debug:
    config:
      debug: 32767
      debugdisplay: 1
      cachejs: false
      langstringcache: false
