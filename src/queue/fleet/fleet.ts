import { z } from 'zod'
import { LoopfleetError } from '../../base/index.js'
import { gpuFiguresSchema } from '../jobs/job-schemas.js'
import { checkRedisReader } from '../records/least-reader.js'
import { checkAnnounced, PROTOCOL } from '../records/protocol.js'
import { LUA_CLOCK, luaScript, type RedisLink, reportOrLeave } from '../redis/index.js'

/** No GPU, a list of those that are offered, or GPUs that cannot be read. */
const gpuStateSchema = z.object({
  state: z.enum(['none', 'gpus', 'unreadable']),
  offered: z.array(z.int().min(0)),
  reason: z.string().nullable(),
})

/** Problems that a host or a node cannot fix itself, such as a Redis that came back without its records; one sentence each. */
const errors = z.array(z.string()).default([])
/** What its build reads and writes; builds before protocol numbers do not have one. */
const protocol = z.int().min(1).optional()

/** What a host found out about its own fitness for a trainer or converter. */
const preflightReportSchema = z.object({
  kind: z.enum(['trainer', 'converter']),
  name: z.string(),
  /** `pending` until the first one has ended. */
  state: z.enum(['pending', 'passed', 'failed']),
  /** One sentence; also of the last one that could not be carried out. */
  reason: z.string().nullable(),
  /** What it could not find out. */
  notes: z.array(z.string()),
  at: z.number().nullable(),
})
export type PreflightReport = z.output<typeof preflightReportSchema>

const notServedSchema = z.object({
  kind: z.enum(['trainer', 'converter']),
  name: z.string(),
  reason: z.string(),
  /** For programs; hosts of older versions do not say. */
  cause: z.enum(['too-few-gpus', 'gpus-unreadable', 'preflight-pending', 'preflight-failed']).optional(),
  /** With `too-few-gpus`. */
  gpus: z.object({ wanted: z.int(), offered: z.int() }).optional(),
})
/** Why a host does not take the work of a trainer or converter. */
export type NotServed = z.output<typeof notServedSchema>

const suspendedSchema = z.object({
  what: z.string(),
  /** By the clock of Redis. */
  since: z.number(),
  /** One real attempt decides whether it is lifted. */
  isOnTrial: z.boolean(),
})
export type SuspendedPart = z.output<typeof suspendedSchema>

/** The announcement of a host; unknown keys are kept. */
const fleetHostSchema = z.looseObject({
  hostId: z.string().min(1),
  pid: z.int(),
  trainers: z.array(z.string()),
  converters: z.array(z.string()).default([]),
  /** Trainings it works on at the same time, and how many more it would take. */
  places: z.int().min(0).default(1),
  free: z.int().min(0).default(0),
  /** Trainers for which it takes no more, although places are free: others wait for its slots already. */
  full: z.array(z.string()).default([]),
  trainings: z.array(z.string()).default([]),
  gpus: z.array(gpuFiguresSchema).nullable().default(null),
  /** What its GPUs are to it; hosts of older versions do not say. */
  gpuState: gpuStateSchema.nullable().default(null),
  /** Trainers and converters it was started with and cannot serve, with the reason. */
  notServed: z.array(notServedSchema).default([]),
  /** Hosts of older versions have none. */
  preflights: z.array(preflightReportSchema).default([]),
  /** GPUs, trainers and converters of it that are suspended, or on trial; hosts of older versions have none. */
  suspended: z.array(suspendedSchema).default([]),
  errors,
  protocol,
})
export type FleetHost = z.input<typeof fleetHostSchema>
export type KnownHost = z.output<typeof fleetHostSchema>

/** The announcement of a node. */
const fleetNodeSchema = z.looseObject({
  uuid: z.string().min(1),
  name: z.string(),
  /** Name of the trainer definition behind a trainer node. */
  trainer: z.string().optional(),
  /** Name of the converter definition behind a converter node. */
  converter: z.string().optional(),
  type: z.enum(['trainer', 'converter', 'detector', 'annotator']),
  pid: z.int().optional(),
  errors,
  protocol,
})
export type FleetNode = z.input<typeof fleetNodeSchema>
type KnownNode = z.output<typeof fleetNodeSchema>

/** `isAlive` is false when the heartbeat was missed. */
export type Seen<T> = T & { readonly isAlive: boolean; readonly seenAt: number }

type AnnounceOptions = {
  readonly ttlMs: number
  /** Who claims the name (such as machine and data folder); another living owner makes it LF_NAME_TAKEN. */
  readonly owner?: string
}

/** Who is there: hosts and nodes, as long as their heartbeat goes on, and for a day after it stopped. */
export type Fleet = {
  announceHost(host: FleetHost, options: AnnounceOptions): Promise<void>
  announceNode(node: FleetNode, options: AnnounceOptions): Promise<void>
  /**
   * Throws LF_DATA_TOO_NEW or LF_FLEET_TOO_OLD if a part of this build cannot share Redis with what is there; `own` is its
   * own id, under which it may have been announced before.
   */
  checkParts(own: string): Promise<void>
  withdrawHost(hostId: string): Promise<void>
  withdrawNode(uuid: string): Promise<void>
  /** By name, as nodes are. */
  hosts(): Promise<readonly (Seen<KnownHost> & { readonly isDraining: boolean })[]>
  nodes(): Promise<readonly Seen<KnownNode>[]>
  /** A draining host finishes what it has and takes no more trainings. */
  setDraining(hostId: string, isDraining: boolean): Promise<void>
  isDraining(hostId: string): Promise<boolean>
  /** Lifts what is suspended of a host. */
  resume(hostId: string): Promise<void>
  /** When that was last, or 0, and what time it is, by the clock of Redis. */
  resumedAt(hostId: string): Promise<{ readonly resumedAt: number; readonly now: number }>
}

/** Another process has this name in the fleet. */
class NameTakenError extends LoopfleetError {
  static {
    this.prototype.name = 'NameTakenError'
  }
  constructor(details: { readonly kind: 'host' | 'node'; readonly id: string; readonly owner: string }) {
    super(
      'LF_NAME_TAKEN',
      `The ${details.kind} ${details.id} is already in the fleet (${details.owner}); stop that one or use another name.`,
      { details },
    )
  }
}

// A name without owner is claimed by everybody; a heartbeat prolongs its own claim.
const ANNOUNCE = luaScript(`
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= '' and ARGV[4] ~= '' and owner ~= ARGV[4] then return owner end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', math.floor(time[1] * 1000 + time[2] / 1000)) .. ARGV[2])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
return false`)

const SET_DRAINING = luaScript('return redis.call(ARGV[1], KEYS[1], ARGV[2])')

const RESUME = luaScript(`${LUA_CLOCK}
return redis.call('HSET', KEYS[1], ARGV[1], stamp())`)

/** What a host announced before it died is over: its trainings wait, or another host has them. */
const NOTHING = { trainings: [], free: 0, gpus: null } satisfies Partial<KnownHost>

const FORGET_AFTER_MS = 86_400_000

export function createFleet(link: RedisLink, { protocol = PROTOCOL }: { readonly protocol?: number } = {}): Fleet {
  const ours = { protocol }
  const hosts = createRegister({ link, kind: 'host', schema: fleetHostSchema, nameOf: ({ hostId }) => hostId })
  const nodes = createRegister({ link, kind: 'node', schema: fleetNodeSchema, nameOf: ({ name }) => name })
  const draining = `${link.prefix}:draining`
  const resumed = `${link.prefix}:resumed-hosts`
  return {
    announceHost: (host, options) => hosts.announce(host.hostId, fleetHostSchema.parse({ ...ours, ...host }), options),
    announceNode: (node, options) => nodes.announce(node.uuid, fleetNodeSchema.parse({ ...ours, ...node }), options),
    async checkParts(own) {
      await checkRedisReader(link, ours.protocol)
      const [living, others] = await Promise.all([hosts.list(), nodes.list()])
      const parts = [
        ...living.map((host) => ({ ...host, name: `host ${host.hostId}`, id: host.hostId })),
        ...others.map((node) => ({ ...node, name: `${node.type} node ${node.name}`, id: node.uuid })),
      ]
      checkAnnounced(parts.filter(({ isAlive, id }) => isAlive && id !== own))
    },
    withdrawHost: hosts.withdraw,
    withdrawNode: nodes.withdraw,
    nodes: nodes.list,
    async hosts() {
      const [seen, drained] = await Promise.all([hosts.list(), link.client.smembers(draining)])
      return seen.map((host) => ({
        ...(host.isAlive ? host : { ...host, ...NOTHING }),
        isDraining: drained.includes(host.hostId),
      }))
    },
    async setDraining(hostId, isDraining) {
      await SET_DRAINING(link.client, [draining], [isDraining ? 'SADD' : 'SREM', hostId])
    },
    isDraining: async (hostId) => (await link.client.sismember(draining, hostId)) === 1,
    async resume(hostId) {
      await RESUME(link.client, [resumed], [hostId])
    },
    async resumedAt(hostId) {
      const [at, now] = await Promise.all([link.client.hget(resumed, hostId), redisNow(link)])
      return { resumedAt: Number(at ?? 0), now }
    },
  }
}

type Register<T> = {
  readonly link: RedisLink
  readonly kind: 'host' | 'node'
  readonly schema: z.ZodType<T>
  readonly nameOf: (record: T) => string
}

/** `gpu-2` comes before `gpu-10`. */
const byNumbers = new Intl.Collator('en', { numeric: true })

function createRegister<T>({ link, kind, schema, nameOf }: Register<T>) {
  const all = `${link.prefix}:${kind}s`
  const claimOf = (id: string) => `${link.prefix}:${kind}:${id}`

  async function withdraw(id: string): Promise<void> {
    await reportOrLeave(link, () => link.client.multi().hdel(all, id).del(claimOf(id)).exec())
  }

  async function read(id: string, text: string): Promise<Seen<T> | undefined> {
    const brace = text.indexOf('{')
    const seenAt = Number(text.slice(0, brace))
    const isAlive = (await link.client.exists(claimOf(id))) === 1
    if (!isAlive && (await redisNow(link)) - seenAt > FORGET_AFTER_MS) {
      if (link.access === 'write') await link.client.hdel(all, id)
      return undefined
    }
    const parsed = schema.safeParse(tryJson(text.slice(brace)))
    return parsed.success ? { ...parsed.data, isAlive, seenAt } : undefined // of a version we do not know
  }

  return {
    withdraw,
    async announce(id: string, record: T, { ttlMs, owner = '' }: AnnounceOptions): Promise<void> {
      const args = [id, JSON.stringify(schema.parse(record)), ttlMs, owner]
      const taken = await ANNOUNCE(link.client, [all, claimOf(id)], args)
      if (typeof taken === 'string') throw new NameTakenError({ kind, id, owner: taken })
    },
    async list(): Promise<readonly Seen<T>[]> {
      const entries = Object.entries(await link.client.hgetall(all)).sort()
      const seen = await Promise.all(entries.map(([id, text]) => read(id, text)))
      const known = seen.filter((each) => each !== undefined)
      return known.sort((a, b) => byNumbers.compare(nameOf(a), nameOf(b)))
    },
  }
}

async function redisNow(link: RedisLink): Promise<number> {
  const [seconds, microseconds] = await link.client.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the schema refuses it
  }
}
