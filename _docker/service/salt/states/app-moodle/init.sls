# PHP-FPM with what Moodle needs, for a container: the image's command runs it in
# the foreground as www-data. Moodle's code comes from a volume or from an image
# built from this one; its data is in a volume. No password is in the image:
# config.php takes it from the environment or from a file.
{%- from "app-moodle/map.jinja" import php, moodle, settings with context %}
{%- from "app-moodle/macros.jinja" import fpm_configuration_valid, php_valid %}
{%- set etc = '/etc/php/' ~ php.version %}
{%- set prefix = 'php' ~ php.version ~ '-' %}

php-fpm:
  pkg.installed:
    - pkgs:
      - {{ prefix }}fpm
{%- for name in php.extensions %}
      - {{ prefix }}{{ name }}
{%- endfor %}
{%- for name in php.packages %}
      - {{ name }}
{%- endfor %}
    - install_recommends: False

# A name without a version for the image's command.
/usr/local/sbin/php-fpm:
  file.symlink:
    - target: /usr/sbin/php-fpm{{ php.version }}
    - require:
      - pkg: php-fpm

{{ etc }}/fpm/php-fpm.conf:
  file.managed:
    - source: salt://app-moodle/settings.ini
    - template: jinja
    - context:
        sections: {{ php.fpm | json }}
    - require:
      - pkg: php-fpm

# Debian's pool, which php-fpm.conf doesn't include: it is there to mislead.
{{ etc }}/fpm/pool.d/www.conf:
  file.absent:
    - require:
      - pkg: php-fpm
{%- for sapi in ['fpm', 'cli'] %}

{{ etc }}/{{ sapi }}/conf.d/90-moodle.ini:
  file.managed:
    - source: salt://app-moodle/settings.ini
    - template: jinja
    - context:
        sections: {{ {'PHP': php['values']} | json }}
    - require:
      - pkg: php-fpm
{%- endfor %}

/usr/local/bin/php-fpm-ping:
  file.managed:
    - source: salt://app-moodle/php-fpm-ping
    - template: jinja
    - context:
        port: {{ (php.fpm.www.listen | string).split(':') | last }}
        path: {{ php.fpm.www['ping.path'] }}
    - mode: '0755'

/usr/local/bin/moodle-cron:
  file.managed:
    - source: salt://app-moodle/moodle-cron
    - template: jinja
    - context:
        root: {{ moodle.root }}
    - mode: '0755'

/etc/moodle/config.d:
  file.directory:
    - makedirs: True

/etc/moodle/config.php:
  file.managed:
    - source: salt://app-moodle/config.php
    - template: jinja
    - context:
        root: {{ moodle.root }}
        settings: {{ settings | json }}
    - require:
      - file: /etc/moodle/config.d

# A volume that is new takes it from here, and so does an image that copies the
# code to this place.
{{ moodle.root }}/config.php:
  file.symlink:
    - target: /etc/moodle/config.php
    - makedirs: True

# A new volume takes owner and mode from here.
{{ moodle.config.dataroot }}:
  file.directory:
    - user: www-data
    - group: www-data
    - mode: '2770'
    - makedirs: True
{{ fpm_configuration_valid('php-fpm-configuration-valid',
                           [etc ~ '/fpm/php-fpm.conf', etc ~ '/fpm/pool.d/*',
                            etc ~ '/fpm/conf.d/90-moodle.ini']) }}
{{ php_valid('moodle-configuration-valid', '/etc/moodle/config.php') }}
