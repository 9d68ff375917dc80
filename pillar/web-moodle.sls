# The states web-moodle and web-moodle-debug. Everything is optional; what isn't
# said to be an example shows the default. Lists replace the default, mappings are
# merged with it.
nginx:
  # What the workers run as.
  user: www-data
  worker_processes: auto
  worker_connections: 768
  # Looks up the app when a request comes. This is Docker's own, which is in every
  # network but the default bridge; `valid` is how long an answer is kept.
  resolver: 127.0.0.11 valid=10s

  # Without any server here there is one, moodle, with the pages below and without
  # an app: it only serves files.
  servers:
    moodle:
      # A name or a list of them; _ matches every name.
      server_name: _
      port: 80
      # The default is /var/www/ and the server's name. With an app it is where
      # Moodle's code is, here and in the app's container; from Moodle 5.1 on, in
      # its directory public.
      root: /var/www/moodle
      # The default with an app; without one it is [index.html].
      index: [index.php, index.html]
      client_max_body_size: 64m
      # Status codes and the address of the page to show for them. The pages
      # that an app makes for its own errors are left alone.
      error_pages:
        '404': /404.html
        '413': /413.html
        '500 502 503 504': /50x.html
      # Made from title, text (none) and lang (en): the error pages in a directory
      # of their own, the others in the document root, where they show until
      # there is code.
      pages:
        index.html:
          title: Moodle
          text: This site is being set up.
        404.html:
          title: Not found
          text: There is no page at this address.
        413.html:
          title: Too large
          text: This upload is larger than the site allows.
        50x.html:
          title: Not available
          text: Please try again in a few minutes.

      # An example; by default there is none, and the keys below it have no meaning.
      # Where PHP-FPM listens, HOST:PORT; `true` is moodle-app:9000. It may be
      # absent when nginx starts.
      app: moodle-app:9000
      # What / answers to an address without a file; /r.php from Moodle 5.1 on.
      fallback: '=404'
      # Regular expressions of addresses that are not found.
      hidden: ['/\.(?!well-known/)', '/(vendor|node_modules)/', '/(composer|package)\.json$']
      # PHP values that all lanes have, where they don't say otherwise.
      php: {}
      # Each PHP request takes one lane: the first whose location, a regular
      # expression, matches. Those of other names than these three are tried
      # first, and `slow: ~` takes a lane away.
      #   timeout               seconds without an answer, after which the client
      #                         gets error 504; also max_execution_time
      #   client_max_body_size  the server's, if it isn't here; also post_max_size
      #                         and upload_max_filesize
      #   php                   other values of PHP. A process keeps a value for the
      #                         requests that follow: set the same ones in all lanes
      lanes:
        slow:
          location: ^/((admin|backup|report|course/report)/.+|course/(delete|reset))\.php(/|$)
          timeout: 3600
          client_max_body_size: 1024m
          php: {memory_limit: 1024M}
        medium:
          location: ^/((repository|webservice|question)/.+|theme/styles)\.php(/|$)
          timeout: 300
          client_max_body_size: 256m
          php: {memory_limit: 512M}
        fast:
          location: \.php(/|$)
          timeout: 60
          php: {memory_limit: 128M}

  # The state web-moodle-debug.
  debug:
    packages: [lsof, procps, strace, tcpdump]
    error_log_level: debug
    # Of http://127.0.0.1:PORT/status, inside the container.
    status_port: 8081
