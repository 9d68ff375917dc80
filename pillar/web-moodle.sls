# The state web-moodle. Everything is optional.
nginx:
  # What the workers run as.
  user: www-data
  worker_processes: auto
  worker_connections: 768

  # Without any server here there is one, moodle, like this one.
  servers:
    moodle:
      # A name or a list of them; _ matches every name.
      server_name: _
      port: 80
      # The default is /var/www/ and the server's name.
      root: /var/www/moodle
      index: [index.html]
      client_max_body_size: 64m
      # Status codes and the address of the page to show for them.
      error_pages:
        '404': /404.html
        '500 502 503 504': /50x.html
      # Files in the document root, made from title, text (none) and lang (en).
      pages:
        index.html:
          title: Moodle
          text: This site is being set up.
        404.html:
          title: Not found
          text: There is no page at this address.
        50x.html:
          title: Not available
          text: Please try again in a few minutes.
