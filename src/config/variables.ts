import { z } from 'zod'
import { dialects } from '../loop/protocol/index.js'

const flag = z
  .stringbool({ truthy: ['1', 'true'], falsy: ['0', 'false'], error: 'must be 1 or true, or 0 or false' })
  .default(false)
function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  const error = `must be a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error })
}

// A timer of Node that is set for longer than 2^31 ms fires immediately, again and again.
const DAY_MS = 86_400_000

const share = z.coerce
  .number({ error: 'must be a number from 0 to 1' })
  .min(0, { error: 'must be a number from 0 to 1' })
  .max(1, { error: 'must be a number from 0 to 1' })

/** One environment variable: its older name, what it may hold, and what it is for. */
export type Variable = {
  readonly alias?: string
  readonly schema: z.ZodType
  readonly meaning: string
  /** Never printed. */
  readonly secret?: true
}

/** All environment variables of loopfleet; docs/reference/configuration.md lists them from here. */
export const variables = {
  LOOP_HOST: {
    alias: 'HOST',
    schema: z.string().default('learning-loop.ai'),
    meaning: 'Host of the Loop with optional `:port`, or a full http(s):// address.',
  },
  LOOP_USERNAME: { alias: 'USERNAME', schema: z.string().optional(), meaning: 'Login at the Loop; none without it.' },
  LOOP_PASSWORD: {
    alias: 'PASSWORD',
    schema: z.string().optional(),
    meaning: 'Password of that login.',
    secret: true,
  },
  LOOP_ORGANIZATION: {
    alias: 'ORGANIZATION',
    schema: z.string().optional(),
    meaning: 'Organization of a node; a detector needs one.',
  },
  LOOP_PROJECT: {
    alias: 'PROJECT',
    schema: z.string().optional(),
    meaning: 'Project of a node; a detector needs one.',
  },
  LOOP_SSL_CERT_PATH: { schema: z.string().optional(), meaning: 'CA certificates (PEM) for a self-hosted Loop.' },
  LOOP_PROTOCOL: {
    schema: z.enum(dialects).default('current'),
    meaning: 'Dialect of what is sent: `current` or `0.8`. Both are understood.',
  },
  DATA_FOLDER: { schema: z.string().default('data'), meaning: 'Where images, trainings and identities are kept.' },
  REDIS_URL: {
    schema: z.string().optional(),
    meaning: 'redis://, rediss:// or unix:// address of the fleet. Without it `up` and `demo` start a private one.',
    secret: true,
  },
  LOOPFLEET_HOST_NAME: {
    schema: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,60}$/, { error: 'may hold only letters, digits and dashes' })
      .optional(),
    meaning: 'Name of this host in the fleet; made from the machine name and kept in the data folder otherwise.',
  },
  LOOPFLEET_DASHBOARD_TOKEN: {
    schema: z.string().min(16, { error: 'must have 16 signs or more' }).optional(),
    meaning: 'What a browser must show to see the dashboard; needed to bind it to more than this machine.',
    secret: true,
  },
  LOOPFLEET_ALLOWED_HOSTS: {
    schema: z
      .string()
      .regex(/^[A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*$/, { error: 'must be host names with commas between them' })
      .transform((names) => names.split(','))
      .default([]),
    meaning:
      'Host names, with commas between them, to which servers that are bound to 127.0.0.1 answer, as behind a proxy.',
  },
  LOOPFLEET_THREADS: { schema: wholeNumber(1).optional(), meaning: 'Threads of the detection pool.' },
  LOOPFLEET_LOCK_MS: {
    schema: wholeNumber(1000, DAY_MS).default(30_000),
    meaning: 'A host that says nothing for so long loses its trainings and conversions to another.',
  },
  LOOPFLEET_LEND_PLACE_SECONDS: {
    schema: wholeNumber(1, DAY_MS / 1000).default(120),
    meaning: 'A training that waits for the Loop for so long lends its place on the host to another, unless it trains.',
  },
  LOOPFLEET_PREFLIGHT_SECONDS: {
    schema: wholeNumber(0, DAY_MS / 1000).default(60),
    meaning: 'How long the preflight of a trainer or converter may take on this host; 0 is no preflight.',
  },
  LOOPFLEET_CHECKPOINTS: {
    schema: z.string().optional(),
    meaning: 'Folder that all hosts see, for packed checkpoints; with it another host goes on from where one died.',
  },
  LOOPFLEET_CHECKPOINT_SECONDS: {
    schema: wholeNumber(1, DAY_MS / 1000).default(60),
    meaning: 'A new checkpoint is packed at most so often; besides at every new best model.',
  },
  LOOPFLEET_LOG_LEVEL: {
    schema: z.enum(['silent', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
    meaning: 'How much is logged.',
  },
  INFERENCE_BATCH_SIZE: {
    schema: wholeNumber(1).optional(),
    meaning: 'Images per upload of detections; as many as the Loop takes (100, in dialect 0.8 10) without it.',
  },
  RESTART_AFTER_TRAINING: {
    schema: flag,
    meaning:
      'A trainer node exits with 0 when a training has ended and none of its seats has another one; `up` or a container starts it again.',
  },
  KEEP_OLD_TRAININGS: {
    schema: flag,
    meaning: 'Completed trainings keep their workspaces when the next one of their project begins on that host.',
  },
  LOOPFLEET_KEEP_FAILED_DAYS: {
    schema: wholeNumber(0).default(14),
    meaning:
      'How long the workspace of a failed training is kept, to be retried from where it failed, and the log of a failed conversion.',
  },
  LOOPFLEET_MAX_WORKSPACE_BYTES: {
    schema: wholeNumber(0).default(100_000_000_000),
    meaning:
      'Past so many bytes in all, the workspaces of ended trainings on a host are cleared, those that ended first; likewise those of failed conversions; 0 is no limit.',
  },
  TRAINER_IDLE_TIMEOUT_SEC: {
    schema: wholeNumber(0).default(0),
    meaning: 'A trainer node exits with 0 when all its seats were idle for so many seconds; 0 is never.',
  },
  SKIP_REPEAT_ON_START: {
    schema: flag,
    meaning: 'A node tells changes alone, without a status every 5 s, until `PUT /socketio` with `on` (see `--port`).',
  },
  USE_BACKDOOR_CONTROLS: {
    schema: flag,
    meaning:
      'Turns `POST /reset` of a node on, and of a trainer also `/force_status_update` and those of the mock trainer (`/steps` and others, for which workers need it too; see `--port`), and `PUT /check_state` and `POST /step` of a converter; never in production.',
  },
  MIN_UNCERTAIN_THRESHOLD: {
    schema: share.default(0.3),
    meaning: 'A detector sends images with new objects of this confidence or more to the Loop,',
  },
  MAX_UNCERTAIN_THRESHOLD: { schema: share.default(0.6), meaning: 'and of this confidence or less.' },
  VERSION_CONTROL_DEFAULT: {
    schema: z.string().default('follow_loop'),
    meaning: '`pause`: a new detector keeps its model until it is told otherwise; anything else follows the Loop.',
  },
  SYNC_CYCLES: {
    schema: wholeNumber(1).default(6),
    meaning: 'A detector tells its status in every n-th cycle of 5 s (current dialect), and every change immediately.',
  },
  EXCLUSIVE_MODEL_BUILD: {
    schema: flag,
    meaning: 'A detector frees its model before it builds the next one, and refuses images meanwhile.',
  },
  MAX_OUTBOX_SIZE: {
    schema: wholeNumber(1).default(1000),
    meaning: 'Images that may wait for the Loop in the outbox of a detector; `--outbox-images` overrides it.',
  },
  NODE_VERSION: {
    schema: z.string().max(100, { error: 'must have at most 100 characters' }).optional(),
    meaning: 'How you name the version of a detector; reported to the Loop.',
  },
  NODE_HOST: {
    schema: z.string().optional(),
    meaning: 'Address that a node is bound to; `--host` overrides it. The parts of `up` and `demo` do not get it.',
  },
  NODE_PORT: {
    schema: wholeNumber(0, 65_535).optional(),
    meaning: 'Port on which a node answers; `--port` overrides it. The parts of `up` and `demo` do not get it.',
  },
} as const satisfies Record<string, Variable>

type Variables = typeof variables
/** The environment after reading: typed, with defaults. */
export type Environment = { readonly [Name in keyof Variables]: z.output<Variables[Name]['schema']> }
