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
# once, because only this process counts. `timeout` and others signal this process and then its group, so it gets the same
# signal twice: a repetition within half a second is the same request. SIGUSR1 and SIGUSR2 are the first and the second
# signal of a process above that relays what it got; that process and this one may both get the signal of a group.
#
# A command that ends with the exit code 75 is started again, with the same environment. One that a thread keeps from
# exiting with a code ends itself by SIGVTALRM for that.

direct=0 latest='' latest_at=0 asked='' child='' timer='' interrupted='' verdict=''
env=$(command -pv env)
setsid=$(command -pv setsid)
setpriv=$(command -pv setpriv)

ask() {
  interrupted=yes
  [ -z "$asked" ] || return 0
  asked=yes
  [ -z "$child" ] || pass_on
}

pass_on() {
  wait_for_exec
  kill -s TERM "$child" 2>/dev/null
  kill -s CONT "$child" 2>/dev/null # a stopped process cannot obey
  "$env" -i "$setsid" /bin/sh -c "$timer_script" timer $$ </dev/null >/dev/null 2>&1 4<&- &
  timer=$!
}

# Right after the fork the child is a copy of this shell, with its traps, and a signal to it is lost.
wait_for_exec() {
  read -r own <"/proc/$$/cmdline"
  while its=''; read -r its <"/proc/$child/cmdline"; [ -n "$its" ] && [ "$its" = "$own" ]; do
    command -p sleep 0.01 || command -p sleep 1
  done
} 2>/dev/null

# Sends its signal only while this process is still its parent: later the number may belong to another process.
# It runs in a group of its own, so that a wait for the group of the command is no wait for it.
timer_script='
  command -p sleep 9 && read -r _ _ _ parent _ </proc/$$/stat && [ "$parent" = "$1" ] && kill -s ALRM "$1"'

# The process first: it cannot make another one any more when its group is killed.
stop_timer() {
  kill -s KILL "$timer"
  kill -s KILL -- "-$timer"
  wait "$timer"
} 2>/dev/null

# The exit code is that of a process which the signal has ended.
force() {
  interrupted=yes
  [ -n "$verdict" ] || verdict=$1
  [ -z "$child" ] || kill -s KILL "$child" 2>/dev/null
}

# SIGNAL CODE. The time is also taken after the first signal has been passed on, since a repetition waits here for that.
signal() {
  interrupted=yes
  clock
  [ "$latest" != "$1" ] || [ "$((now - latest_at))" -ge 50 ] || return 0
  direct=$((direct + 1))
  if [ "$direct" -gt 1 ]; then force "$2"; else ask; fi
  clock
  latest=$1 latest_at=$now
}

# `now` in hundredths of a second since the start of the machine.
clock() {
  read -r uptime _ </proc/uptime
  now=${uptime%.*}${uptime#*.}
}

late() {
  timer=''
  echo "loopfleet: the process $child did not end within 9 s of the signal and was killed." >&2
  force 137
}

trap 'signal INT 130' INT
trap 'signal TERM 143' TERM
trap ask USR1
trap 'force 143' USR2
trap late ALRM

[ -n "$setpriv" ] && "$setpriv" --pdeathsig KILL true 2>/dev/null && set -- "$setpriv" --pdeathsig KILL "$@"

environment=$(command -p cat 2>/dev/null <&4)

run() {
  exec 4<<END
$environment
END
  LOOPFLEET_PARENT=$$ "$@" &
  child=$!
  exec 4<&-
  # A signal between the last check and the line that names the child has reached nobody yet.
  [ -z "$asked" ] || [ -n "$timer" ] || pass_on
  [ -z "$verdict" ] || kill -s KILL "$child" 2>/dev/null

  # A trap ends `wait` early; what it then returns is no exit code of the command.
  code=''
  while :; do
    interrupted=''
    wait "$child" 2>/dev/null # dash would name the signal
    ended=$?
    [ "$ended" -eq 127 ] && [ -n "$code" ] || code=$ended
    [ -n "$interrupted" ] || break
  done
  child=''
}

[ -z "$asked" ] || exit 143
run "$@"
while [ -z "$asked" ] && { [ "$code" -eq 75 ] || [ "$code" -eq 154 ]; }; do run "$@"; done
[ -z "$timer" ] || stop_timer
[ -z "$verdict" ] || exit "$verdict"
# Killed by somebody else, such as the kernel when memory is short: end in the same way, so that it can be seen.
if [ "$code" -eq 137 ]; then kill -s KILL $$; fi
exit "$code"
