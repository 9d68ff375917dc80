<?php
// Written by the state app-moodle.
unset($CFG);
global $CFG;
$CFG = new stdClass();

// What a container gets when it starts: in a variable of its environment or,
// where that has none, in a file.
$given = static function (string $name, array $from) {
    $value = isset($from['env']) ? (string) getenv($from['env']) : '';
    if ($value === '' && isset($from['file']) && is_readable($from['file'])) {
        $value = rtrim(file_get_contents($from['file']), "\r\n");
    }
    if ($value !== '') {
        return $value;
    }
    if (array_key_exists('default', $from)) {
        return $from['default'];
    }
    $ways = [];
    if (isset($from['env'])) {
        $ways[] = 'set ' . $from['env'];
    }
    if (isset($from['file'])) {
        $ways[] = 'mount ' . $from['file'] . ', readable for uid ' . posix_geteuid();
    }
    throw new RuntimeException("config.php: no $name: " . implode(' or ', $ways));
};
{% for name, value in settings.items() %}
$CFG->{{ name }} = {{ value }};
{%- endfor %}

foreach (glob('/etc/moodle/config.d/*.php') as $file) {
    require $file;
}
unset($given, $file);

// Where Moodle has it from version 5.1 on, or where it was before.
require_once is_file('{{ root }}/public/lib/setup.php')
    ? '{{ root }}/public/lib/setup.php'
    : '{{ root }}/lib/setup.php';
