<?php
// Written by the state app-moodle-debug.
{%- for name, value in settings.items() %}
$CFG->{{ name }} = {{ value }};
{%- endfor %}
