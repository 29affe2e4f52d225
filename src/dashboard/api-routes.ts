import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Fleet, TrainingControl, TrainingsOfFleet } from '../queue/index.js'
import { RequestRefusedError } from './errors.js'
import type { Look } from './look.js'
import { idSchema, logSchema, pageSchema, read } from './request-parts.js'
import { toCurveView, toLogView } from './views.js'

export type ApiDeps = {
  readonly look: Look
  readonly trainings: Pick<TrainingsOfFleet, 'load' | 'readLog' | 'readCurve' | 'promptly'> &
    Pick<TrainingControl, 'request' | 'retry'>
  readonly fleet: Pick<Fleet, 'hosts' | 'setDraining' | 'resume'>
}

const actionSchema = idSchema.extend({ action: z.enum(['stop', 'abort', 'retry']) })
const hostSchema = z.object({ hostId: z.string().min(1).max(253), action: z.enum(['drain', 'undrain', 'resume']) })

/** What the page reads and does, for programs too. */
export function registerApi(app: FastifyInstance, { look, trainings, fleet }: ApiDeps): void {
  app.get('/api/trainings', async (request) => await look.trainings(read(pageSchema, request.query)))
  app.get('/api/redis', async () => await look.redis())
  app.get('/api/hosts', async () => await look.hosts())
  app.get('/api/nodes', async () => await look.nodes())
  app.get('/api/queues', async () => await look.queueCounts())
  app.get('/api/fleet', async (request) => {
    const page = read(pageSchema, request.query)
    const [trainings, redis, hosts, nodes, queues, conversions] = await Promise.all([
      look.trainings(page),
      look.redis(),
      look.hosts(),
      look.nodes(),
      look.queueCounts(),
      look.conversions(),
    ])
    return { ...trainings, ...redis, ...hosts, ...nodes, ...queues, ...conversions }
  })

  app.get('/api/trainings/:id', async (request) => {
    const { id } = readTraining(request)
    return (await look.training(id)) ?? unknown(id)
  })
  app.get('/api/trainings/:id/log', async (request) => {
    const { id } = readTraining(request)
    const { from, limit } = read(logSchema, request.query)
    if ((await trainings.load(id)) === undefined) return unknown(id)
    const entries = await trainings.readLog(id, from === undefined ? { limit } : { from, limit })
    return toLogView(entries, from)
  })
  app.get('/api/trainings/:id/curve', async (request) => {
    const { id } = readTraining(request)
    if ((await trainings.load(id)) === undefined) return unknown(id)
    return toCurveView(await trainings.readCurve(id))
  })
  app.post('/api/trainings/:id/:action', async (request) => {
    const { id, action } = readAction(request)
    if ((await trainings.load(id)) === undefined) return unknown(id)
    if (action !== 'retry') {
      const outcome = await trainings.promptly(() => trainings.request(id, action, 'dashboard'))
      return { id, action, outcome }
    }
    const reopened = await trainings.promptly(() => trainings.retry(id))
    if (reopened.outcome === 'refused') throw new RequestRefusedError(409, reopened.reason)
    return { id, action, outcome: reopened.outcome }
  })
  app.post('/api/hosts/:hostId/:action', async (request) => {
    const { hostId, action } = read(hostSchema, request.params)
    const hosts = await fleet.hosts()
    if (!hosts.some((host) => host.hostId === hostId))
      throw new RequestRefusedError(404, 'There is no host of that name.')
    if (action === 'resume') {
      await trainings.promptly(() => fleet.resume(hostId))
      return { hostId, isResumed: true }
    }
    await trainings.promptly(() => fleet.setDraining(hostId, action === 'drain'))
    return { hostId, isDraining: action === 'drain' }
  })
}

function readTraining(request: FastifyRequest): z.output<typeof idSchema> {
  const parsed = idSchema.safeParse(request.params)
  return parsed.success ? parsed.data : unknown(undefined)
}

function readAction(request: FastifyRequest): z.output<typeof actionSchema> {
  readTraining(request)
  return read(actionSchema, request.params)
}

function unknown(id: string | undefined): never {
  throw new RequestRefusedError(404, `There is no training ${id ?? 'of that id'}.`)
}
