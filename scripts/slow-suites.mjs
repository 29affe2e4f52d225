// The slow variants of the tests by name, for `npm run test:slow [-- NAME …]`; they run before an issue is closed. A file
// `….slow.test.ts` runs here alone. The others are part of `npm test` too, and do more here, as their variables say.

/** Paths in `test/`. */
export const slowSuites = {
  kills: {
    about: 'kill -9 at any moment, 100 times each',
    env: { LOOPFLEET_TEST_KILLS: '100' },
    files: [
      'detector/outbox/killed.test.ts',
      'detector/models/killed.test.ts',
      'end-to-end/detector-killed.test.ts',
      'end-to-end/killed-at-random.test.ts',
    ],
  },
  swaps: {
    about: '200 swaps of models under load, with a look at the memory',
    env: { LOOPFLEET_TEST_SWAPS: '200' },
    files: ['detector/models/swaps.slow.test.ts', 'end-to-end/detector-swaps.test.ts'],
  },
  outbox: {
    about: 'an outbox of 1,000 images',
    env: { LOOPFLEET_TEST_IMAGES: '1000' },
    files: ['end-to-end/detector-outbox.test.ts'],
  },
  'torn-models': {
    about: '60 trainings that are ended while they write their model',
    env: { LOOPFLEET_TEST_TEARS: '20' },
    files: ['end-to-end/torn-models.test.ts'],
  },
  redis: {
    about: 'Redis away for two minutes, and every way in which it refuses writes',
    env: { LOOPFLEET_TEST_REDIS_STATES: 'all', LOOPFLEET_TEST_REDIS_AWAY: '120' },
    files: ['end-to-end/ended-without-redis.test.ts', 'end-to-end/node-and-redis-killed.test.ts'],
  },
  bench: {
    about: 'the benches print their figures, and the Python library is installed beside them',
    files: ['bench/quick.slow.test.ts'],
  },
  services: {
    about: 'every service in every order of start and stop',
    env: { LOOPFLEET_TEST_ORDERS: 'all' },
    files: ['contract/services.test.ts'],
  },
}

/** Whether a compiled test file runs in slow suites alone. */
export const isSlow = (file) => file.endsWith('.slow.test.js')

/** Rooms and files whose tests start whole fleets, browsers, or processes that are killed: not part of `npm run test:fast`. */
const FLEETS = [
  'end-to-end/',
  'contract/',
  'cli/',
  'examples/',
  'dashboard/page.',
  'dashboard/many-trainings.',
  'detector/models/killed.',
  'detector/outbox/killed.',
  'detector/server/docs-page.',
]

export const startsFleets = (file) => FLEETS.some((start) => file.startsWith(`dist/test/${start}`))
