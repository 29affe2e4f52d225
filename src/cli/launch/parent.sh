#!/bin/sh
# The small parent of a part. It is the process that is asked to end:
#
#   parent.sh COMMAND [ARGUMENT ...]
#
# On the first SIGTERM or SIGINT it asks the command to end (SIGTERM); after 9 s, or on the second signal, it sends
# SIGKILL, whatever the command hangs in. The guards of the programs (process/guard.sh) then end them. The command ends
# with the parent, in whatever way that ends.
#
# A terminal and systemd signal every process of a group: the command and its parent get the same signal, which counts
# once, because only this process counts. SIGUSR1 and SIGUSR2 are the first and the second signal of a process above
# that relays what it got; that process and this one may both get the signal of a group.

direct=0 asked='' child='' timer='' interrupted='' verdict=''

ask() {
  interrupted=yes
  [ -n "$child" ] || exit 143
  [ -z "$asked" ] || return 0
  asked=yes
  kill -s TERM "$child" 2>/dev/null
  kill -s CONT "$child" 2>/dev/null # a stopped process cannot obey
  (
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    command -p sleep 9 &
    nap=$!
    wait "$nap" && kill -s ALRM $$
  ) </dev/null >/dev/null 2>&1 4<&- &
  timer=$!
}

# The exit code is that of a process which the signal has ended.
force() {
  interrupted=yes
  [ -n "$verdict" ] || verdict=$1
  [ -z "$child" ] || kill -s KILL "$child" 2>/dev/null
}

signal() {
  direct=$((direct + 1))
  if [ "$direct" -gt 1 ]; then force "$1"; else ask; fi
}

late() {
  echo "loopfleet: the process $child did not end within 9 s of the signal and was killed." >&2
  force 137
}

trap 'signal 130' INT
trap 'signal 143' TERM
trap ask USR1
trap 'force 143' USR2
trap late ALRM

setpriv=$(command -pv setpriv)
[ -n "$setpriv" ] && "$setpriv" --pdeathsig KILL true 2>/dev/null && set -- "$setpriv" --pdeathsig KILL "$@"

LOOPFLEET_PARENT=$$ "$@" &
child=$!
exec 4<&-

# A trap ends `wait` early; what it then returns is no exit code of the command.
code=''
while :; do
  interrupted=''
  wait "$child" 2>/dev/null # dash would name the signal
  now=$?
  [ "$now" -eq 127 ] && [ -n "$code" ] || code=$now
  [ -n "$interrupted" ] || break
done
[ -z "$timer" ] || kill -s TERM "$timer" 2>/dev/null
[ -z "$verdict" ] || exit "$verdict"
# Killed by somebody else, such as the kernel when memory is short: end in the same way, so that it can be seen.
if [ "$code" -eq 137 ]; then kill -s KILL $$; fi
exit "$code"
