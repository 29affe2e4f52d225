// Test files that take long, the longest first: each runs in a process of its own, before all others. The end of
// `npm test` prints the slowest suites; one that is missing here and takes more than half a minute is to be added.
export const longest = []
