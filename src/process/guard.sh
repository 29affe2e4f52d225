#!/bin/sh
# The guard of one external program. It must be started as the leader of a process group of its own:
#
#   guard.sh run TENTHS PROGRAM [ARGUMENT ...]
#
# becomes PROGRAM (same process, so exit code and signal are the program's own) and leaves a watcher behind. File
# descriptor 3 is the life-line: a pipe whose other end only the worker holds. Whichever way the worker ends, the
# kernel closes that end; the watcher then sends SIGTERM to the group, waits TENTHS tenths of a second, and sends
# SIGKILL to the group and to whatever left the group but still carries the program's mark in its environment.
# A line on the life-line says that all is over and nothing is to be done.

case $1 in
run)
  tenths=$2
  shift 2
  # Forked twice, so that the program has no child it does not know; in a session of its own, so that the signals to
  # the group spare the watcher; without an environment, which may hold secrets, and whose marks would show it to
  # sweeps; without the program's output and channel (4 and 5), so that nobody waits for its end.
  (
    command -p env -i "$(command -pv setsid)" /bin/sh "$0" watch $$ "$tenths" "$LOOPFLEET_PROGRAM" \
      </dev/null >/dev/null 2>&1 4<&- 5>&- &
  )
  exec "$@" 3<&- 2>&1
  ;;
watch)
  group=$2 tenths=$3 mark=$4
  trap '' HUP INT QUIT TERM
  cd /
  if read -r _ <&3; then exit 0; fi

  kill -s TERM -- "-$group"
  kill -s CONT -- "-$group" # a stopped program cannot obey
  while [ "$tenths" -gt 0 ] && kill -s 0 -- "-$group"; do
    command -p sleep 0.1 || command -p sleep 1
    tenths=$((tenths - 1))
  done
  kill -s KILL -- "-$group"

  [ -n "$mark" ] || exit 0
  for pass in 1 2 3; do
    for file in $(command -p grep -l -s -F -e "LOOPFLEET_PROGRAM=$mark" /proc/[0-9]*/environ); do
      pid=${file#/proc/}
      kill -s KILL "${pid%/environ}"
    done
  done
  ;;
esac
