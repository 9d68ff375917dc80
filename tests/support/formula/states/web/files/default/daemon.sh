#!/bin/sh
### BEGIN INIT INFO
# Provides:          ubiq-probe
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: A daemon of tests
### END INIT INFO
pidfile=/run/ubiq-probe.pid
runs() { [ -e "$pidfile" ] && kill -0 "$(cat $pidfile)" 2>/dev/null; }
case "$1" in
start) runs || /usr/local/sbin/ubiq-probe ;;
stop)
    if runs; then
        kill "$(cat $pidfile)"
        while runs; do sleep 0.1; done
    fi
    rm -f /run/ubiq-probe.sock
    ;;
restart)
    "$0" stop
    "$0" start
    ;;
status) runs || exit 3 ;;
*) exit 2 ;;
esac
