# What debugging Moodle needs: Xdebug, errors on the page, and tools to look at
# PHP's processes and packets.
{%- from "app-moodle/map.jinja" import php, debug_settings with context %}
{%- from "app-moodle/macros.jinja" import fpm_configuration_valid, php_valid %}

include:
  - app-moodle

app-moodle-debug-packages:
  pkg.installed:
    - pkgs: {{ (['php' ~ php.version ~ '-xdebug'] + php.debug.packages) | json }}
    - install_recommends: False
    - require:
      - pkg: php-fpm
{%- for sapi in ['fpm', 'cli'] %}

/etc/php/{{ php.version }}/{{ sapi }}/conf.d/95-moodle-debug.ini:
  file.managed:
    - source: salt://app-moodle/settings.ini
    - template: jinja
    - context:
        sections: {{ {'PHP': php.debug['values']} | json }}
    - require:
      - pkg: app-moodle-debug-packages
{%- endfor %}

/etc/moodle/config.d/debug.php:
  file.managed:
    - source: salt://app-moodle-debug/config.php
    - template: jinja
    - context:
        settings: {{ debug_settings | json }}
    - require:
      - file: /etc/moodle/config.d
{{ fpm_configuration_valid('php-fpm-debug-configuration-valid',
                           ['/etc/php/' ~ php.version ~ '/fpm/conf.d/95-moodle-debug.ini']) }}
{{ php_valid('moodle-debug-configuration-valid', '/etc/moodle/config.d/debug.php') }}
