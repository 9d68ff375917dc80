hello:
  pkg.installed:
    - install_recommends: False
