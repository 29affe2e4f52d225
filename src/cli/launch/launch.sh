#!/bin/sh
# Becomes the parent (parent.sh) of a command, in the same process:
#
#   launch.sh COMMAND [ARGUMENT ...]
#
# `exec` replaces the environment that /proc/PID/environ shows. The parent and the command start with an environment
# without secrets; the command reads the complete one, as hex digits, from a pipe at file descriptor 4.

environment=$(command -p od -A n -v -t x1 "/proc/$$/environ") || {
  echo "loopfleet: the environment of the process cannot be read; mount /proc and install coreutils." >&2
  exit 1
}
exec 4<<END
$environment
END

# What Node, the C library, native code and sweeps need from the first moment on. Everything else, also each secret
# whose name nobody knows here, waits in the pipe.
set -- /bin/sh "${0%/*}/parent.sh" "$@"
for name in $(command -p env | command -p sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/\1/p'); do
  case $name in
  *TOKEN* | *SECRET* | *PASSWORD* | *PASSWD* | *KEY* | *AUTH* | *CREDENTIAL*) continue ;;
  PATH | HOME | USER | LOGNAME | SHELL | TERM | COLORTERM | NO_COLOR | FORCE_COLOR | TMPDIR) ;;
  LANG | LANGUAGE | TZ | LC_* | NODE_* | UV_* | LD_* | MALLOC_* | GLIBC_* | SSL_CERT_*) ;;
  LOOPFLEET_OWNER | LOOPFLEET_PROGRAM | LOOPFLEET_TEST_*) ;;
  *) continue ;;
  esac
  eval "[ -n \"\${$name+set}\" ] && set -- \"$name=\${$name}\" \"\$@\""
done

# A script's background job ignores SIGINT, and a shell cannot trap what it was started to ignore.
env=$(command -pv env)
if "$env" --default-signal=INT true 2>/dev/null; then
  set -- --default-signal=INT --default-signal=TERM --default-signal=USR1 --default-signal=USR2 "$@"
fi
exec "$env" -i "$@"
