/** Asks the parent of this process to start it again (src/cli/launch/parent.sh). */
export const RESTART_EXIT_CODE = 75
