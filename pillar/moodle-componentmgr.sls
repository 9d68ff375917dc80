# The state moodle-componentmgr. Everything is optional; what isn't said to be an
# example shows the default.
moodle-componentmgr:
  packages: [composer, git, php-cli, php-curl, php-mbstring, php-xml, php-zip, unzip]

  # Where ComponentManager comes from, as one phar file: the address of a copy of
  # your own, or a file of Salt's file server. Its authors publish it for Composer
  # alone, so there is no default: without it, the image has all but componentmgr.
  # source: https://files.example.org/componentmgr-0.5.0.phar   # an example
  source: ''
  # Its SHA-256; required, but for salt://.
  source_hash: ''
