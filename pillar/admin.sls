# The state admin. Everything here is optional and shows the default; lists
# replace the default, mappings are merged with it.
admin:
  # Compiled into the image. C.UTF-8 is built in and needs no entry.
  locales: [en_US.UTF-8]
  # Goes to /etc/default/locale, for login shells. The image's own processes see
  # it only if the catalogue sets LANG in the image's env.
  default_locale: en_US.UTF-8
  timezone: Etc/UTC
  packages: [curl, git, htop, less, sudo, vim-tiny]
  # An unprivileged user without a password; its group has the same name and ID.
  user:
    name: ubiquitous
    uid: 1001
    shell: /bin/bash
