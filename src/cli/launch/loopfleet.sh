#!/bin/sh
# The command `loopfleet`. What answers and ends is one process of Node; everything else is a part that runs until it is
# asked to end, and gets a parent and a clean environment (launch.sh).

self=$(command -p readlink -f "$0") || exit 1 # npm links it
launch=${self%/*}
main=${launch%/*}/main.js
case ${1--} in
-* | conversions | help | hosts | status | trainings)
  exec node "$main" "$@"
  ;;
esac
exec /bin/sh "$launch/launch.sh" node "$main" "$@"
