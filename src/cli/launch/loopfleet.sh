#!/bin/sh
# The command `loopfleet`. Parts that run until they are asked to end get a parent and a clean environment (launch.sh);
# everything else is one process of Node.

self=$(command -p readlink -f "$0") || exit 1 # npm links it
launch=${self%/*}
main=${launch%/*}/main.js
case ${1-} in
annotator | converter | dashboard | demo | detector | loop | redis | trainer | up | worker)
  exec /bin/sh "$launch/launch.sh" node "$main" "$@"
  ;;
esac
exec node "$main" "$@"
