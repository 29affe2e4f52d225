// The slow variants of the tests by name, for `npm run test:slow [-- NAME …]`; they run before an issue is closed. Files
// `….slow.test.ts` run here alone. The others are part of `npm test` too, and do more here (`test/helpers/thorough.ts`).

/** Name → what it is, and its files in `test/`. */
export const slowSuites = {
  kills: {
    about: 'kill -9 at any moment, 100 times each',
    files: [
      'detector/outbox/killed.test.ts',
      'detector/models/killed.test.ts',
      'end-to-end/detector-killed.test.ts',
      'end-to-end/killed-at-random.test.ts',
      'end-to-end/worker-killed.test.ts',
    ],
  },
  swaps: {
    about: '200 swaps of models under load, with a look at the memory',
    files: ['detector/models/swaps.slow.test.ts', 'end-to-end/detector-swaps.test.ts'],
  },
  hostile: {
    about: '20 clients that read nothing before they have sent 80 MB',
    files: ['end-to-end/detector-clients-hostile.test.ts'],
  },
  outbox: { about: 'an outbox of 1,000 images', files: ['end-to-end/detector-outbox.test.ts'] },
  files: {
    about: '60 trainings that are ended while they write their model, and thousands of torn models and images',
    files: [
      'end-to-end/torn-models.test.ts',
      'executors/training/whole-files/torn-files.test.ts',
      'images/pixels/jpeg-blocks.test.ts',
      'executors/patterns.test.ts',
    ],
  },
  redis: {
    about: 'Redis away for two minutes, or for 1,000 models, and every way in which it refuses writes',
    files: [
      'end-to-end/ended-without-redis.test.ts',
      'end-to-end/long-outage.test.ts',
      'end-to-end/node-and-redis-killed.test.ts',
      'end-to-end/redis-of-operators.test.ts',
    ],
  },
  launch: { about: 'both signals from a timeout above a part', files: ['cli/launch.test.ts'] },
  services: {
    about: 'every service stopped and aborted at six moments of its start',
    files: ['contract/services.test.ts'],
  },
  gpus: {
    about: 'every way in which a host has too few GPUs, and in which nvidia-smi stops answering',
    files: ['end-to-end/gpu-inventory.test.ts', 'end-to-end/gpu-figures.test.ts'],
  },
  demo: { about: 'every way in which the demo ends', files: ['end-to-end/demo.test.ts'] },
  examples: {
    about: 'the example trainer learns, and its models are made smaller',
    files: ['examples/shapes-trainer.slow.test.ts', 'examples/shapes-quantize.slow.test.ts'],
  },
  bench: { about: 'the benches print their figures', files: ['bench/quick.slow.test.ts'] },
}

/** What `npm run test:fast` leaves out, by reason; CONTRIBUTING states the rule. */
export const notFast = {
  'starts whole fleets': ['end-to-end/', 'contract/', 'cli/', 'examples/', 'dashboard/many-trainings.'],
  'starts a browser': ['dashboard/page.', 'detector/server/docs-page.', 'mock/loop/annotate-page.'],
  'kills processes at any moment': ['detector/models/killed.', 'detector/outbox/killed.'],
  'is the contract of every backend, or of every kind of trainer': [
    'inference/backend-contract.',
    'inference/backend-faults.',
    'executors/trainer-contract.',
  ],
  'waits for a real outage of Redis, or for a clock': [
    'dashboard/withheld.',
    'nodes/loops-eye.',
    'nodes/seat-without-redis.',
    'queue/clock.',
    'queue/failover.',
    'queue/outages.',
    'queue/redis/close-or-leave.',
    'queue/redis/connection-watch.',
    'queue/redis/promptly.',
    'queue/redis/redis-outages.',
  ],
  'waits for threads and processes that hang': ['inference/pool/pool-threads.', 'inference/process-pool.'],
  'works through many images or much output': ['executors/patterns.', 'nodes/annotator/outlines.'],
  'runs a table of Python programs': [
    'executors/category-names.',
    'executors/existing-scripts.',
    'executors/honest-figures.',
    'executors/plugin/hooks.',
    'executors/plugin/load-trainer.',
    'executors/program/preflight/no-false-refusal.',
    'executors/program/preflight/python-files.',
    'executors/training/training-program.',
    'helpers/',
    'mock/nodes/mock-trainer.',
  ],
}

/** Whether a compiled test file runs in slow suites alone. */
export const isSlow = (file) => file.endsWith('.slow.test.js')

export const isNotFast = (file) =>
  Object.values(notFast)
    .flat()
    .some((start) => file.startsWith(`dist/test/${start}`))
