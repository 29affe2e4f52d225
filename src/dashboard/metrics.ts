import type { FastifyInstance } from 'fastify'
import { Gauge, Registry } from 'prom-client'
import type { KnownHost, Seen } from '../queue/index.js'
import type { Look } from './look.js'

/** The metrics for Prometheus; names and units follow its conventions (base units, `_ratio` from 0 to 1). */
const HELP = {
  loopfleet_queue_jobs: 'Jobs of a queue by state.',
  loopfleet_trainings: 'Trainings of the fleet, and those that have not ended.',
  loopfleet_trainings_waiting: 'Trainings of a trainer that wait for a host.',
  loopfleet_conversions: 'Conversions by state; those that went well are forgotten after a while.',
  loopfleet_conversions_waiting: 'Conversions of a converter that wait for a host.',
  loopfleet_redis_refuses_writes: 'Whether Redis refuses writes of this user, with the code of its answer.',
  loopfleet_host_up: 'Whether the heartbeat of a host goes on.',
  loopfleet_host_places: 'Trainings that a host works on at the same time.',
  loopfleet_host_places_free: 'Trainings that a host would take now.',
  loopfleet_host_draining: 'Whether a host takes no more trainings.',
  loopfleet_host_gpus_offered: 'GPUs that a host lends.',
  loopfleet_host_gpus_unreadable: 'Whether a host has GPUs that cannot be read, with the reason.',
  loopfleet_host_not_served: 'A trainer or converter that a host cannot serve, with the reason.',
  loopfleet_host_preflight_passed: 'Whether work of a trainer or converter can begin on a host.',
  loopfleet_host_errors: 'Errors of a host, such as records that Redis has lost.',
  loopfleet_node_up: 'Whether the heartbeat of a node goes on.',
  loopfleet_node_errors: 'Errors of a node, such as records that Redis has lost.',
  loopfleet_gpu_utilization_ratio: 'Load of a GPU.',
  loopfleet_gpu_memory_used_bytes: 'Memory of a GPU in use.',
  loopfleet_gpu_memory_total_bytes: 'Memory of a GPU.',
  loopfleet_gpu_temperature_celsius: 'Temperature of a GPU.',
  loopfleet_gpu_power_watts: 'Power that a GPU draws.',
} as const

type Name = keyof typeof HELP
type Set = (name: Name, labels: Readonly<Record<string, string>>, value: number | null) => void

/** `/metrics` for Prometheus, read from Redis at each scrape. */
export function registerMetrics(app: FastifyInstance, look: Look): void {
  app.get('/metrics', async (_request, reply) => {
    const registry = await collect(look)
    return await reply.type(registry.contentType).send(await registry.metrics())
  })
}

async function collect(look: Look): Promise<Registry> {
  const [{ redis }, { queues }, { hosts }, { nodes }, trainings, conversions] = await Promise.all([
    look.redis(),
    look.queueCounts(),
    look.hosts(),
    look.nodes(),
    look.trainingCounts(),
    look.conversionCounts(),
  ])
  const registry = new Registry()
  const set = createSetter(registry)
  for (const { name, counts } of queues) {
    for (const [state, count] of Object.entries(counts)) set('loopfleet_queue_jobs', { queue: name, state }, count)
  }
  const { takesWrites, code } = redis
  set('loopfleet_redis_refuses_writes', { code: code ?? '' }, takesWrites === null ? null : Number(!takesWrites))
  set('loopfleet_trainings', { which: 'all' }, trainings.total)
  set('loopfleet_trainings', { which: 'unfinished' }, trainings.unfinished)
  for (const [trainer, count] of Object.entries(trainings.waitingByTrainer)) {
    set('loopfleet_trainings_waiting', { trainer }, count)
  }
  for (const state of ['waiting', 'running', 'failed'] as const) {
    set('loopfleet_conversions', { state }, conversions[state])
  }
  for (const [converter, count] of Object.entries(conversions.waitingByConverter)) {
    set('loopfleet_conversions_waiting', { converter }, count)
  }
  for (const host of hosts) setHost(set, host)
  for (const { uuid, name, type, isAlive, errors } of nodes) {
    const labels = { uuid, name, type }
    set('loopfleet_node_up', labels, Number(isAlive))
    if (isAlive) set('loopfleet_node_errors', labels, errors.length)
  }
  return registry
}

function setHost(set: Set, host: Seen<KnownHost> & { readonly isDraining: boolean }): void {
  const labels = { host: host.hostId }
  set('loopfleet_host_up', labels, Number(host.isAlive))
  set('loopfleet_host_draining', labels, Number(host.isDraining))
  if (!host.isAlive) return // its last announcement is out of date
  set('loopfleet_host_places', labels, host.places)
  set('loopfleet_host_places_free', labels, host.free)
  set('loopfleet_host_errors', labels, host.errors.length)
  if (host.gpuState !== null) {
    const { state, offered, reason } = host.gpuState
    const isUnreadable = state === 'unreadable'
    set('loopfleet_host_gpus_offered', labels, offered.length)
    set(
      'loopfleet_host_gpus_unreadable',
      { ...labels, reason: isUnreadable ? (reason ?? '') : '' },
      Number(isUnreadable),
    )
  }
  for (const { kind, name, reason } of host.notServed) {
    set('loopfleet_host_not_served', { ...labels, kind, name, reason }, 1)
  }
  for (const { kind, name, state } of host.preflights) {
    if (state !== 'pending')
      set('loopfleet_host_preflight_passed', { ...labels, kind, name }, Number(state === 'passed'))
  }
  for (const gpu of host.gpus ?? []) {
    const card = { ...labels, gpu: String(gpu.index), name: gpu.name ?? '' }
    const load = gpu.utilizationPercent === null ? null : gpu.utilizationPercent / 100
    set('loopfleet_gpu_utilization_ratio', card, load)
    set('loopfleet_gpu_memory_used_bytes', card, gpu.memoryUsedBytes)
    set('loopfleet_gpu_memory_total_bytes', card, gpu.memoryTotalBytes)
    set('loopfleet_gpu_temperature_celsius', card, gpu.temperatureCelsius)
    set('loopfleet_gpu_power_watts', card, gpu.powerWatts)
  }
}

function createSetter(registry: Registry): Set {
  const gauges = new Map<Name, Gauge>()
  return (name, labels, value) => {
    if (value === null) return
    let gauge = gauges.get(name)
    if (gauge === undefined) {
      gauge = new Gauge({ name, help: HELP[name], labelNames: Object.keys(labels), registers: [registry] })
      gauges.set(name, gauge)
    }
    gauge.set({ ...labels }, value)
  }
}
