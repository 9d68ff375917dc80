include:
  - web.config
  - web.service
