import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Conversions } from '../queue/index.js'
import type { Promptly } from '../queue/redis/index.js'
import { RequestRefusedError } from './errors.js'
import { idSchema, logSchema, pageSchema, read } from './request-parts.js'
import { toConversionView, toLogView } from './views.js'

const listSchema = pageSchema.extend({ failed: z.stringbool().default(false) })

export type ConversionApiDeps = {
  readonly conversions: Pick<Conversions, 'list' | 'load' | 'count' | 'readLog' | 'retry'>
  readonly promptly: Promptly
}

/** What the page reads of conversions and does with them, for programs too. */
export function registerConversionApi(app: FastifyInstance, { conversions, promptly }: ConversionApiDeps): void {
  app.get('/api/conversions', async (request) => {
    const { limit, offset, failed: failedOnly } = read(listSchema, request.query)
    const [records, total] = await Promise.all([
      conversions.list({ limit, offset, failedOnly }),
      conversions.count({ failedOnly }),
    ])
    return { total, limit, offset, conversions: records.map(toConversionView) }
  })
  app.get('/api/conversions/:id', async (request) => toConversionView(await load(request)))
  app.get('/api/conversions/:id/log', async (request) => {
    const { id } = await load(request)
    const { from, limit } = read(logSchema, request.query)
    const entries = await conversions.readLog(id, from === undefined ? { limit } : { from, limit })
    return toLogView(entries, from)
  })
  app.post('/api/conversions/:id/retry', async (request) => {
    const { id } = await load(request)
    const reopened = await promptly(() => conversions.retry(id))
    if (reopened.outcome === 'refused') throw new RequestRefusedError(409, reopened.reason)
    return { id, action: 'retry', outcome: reopened.outcome }
  })

  async function load(request: FastifyRequest) {
    const id = idSchema.safeParse(request.params).data?.id
    const record = id === undefined ? undefined : await conversions.load(id)
    if (record !== undefined) return record
    throw new RequestRefusedError(404, `There is no conversion ${id ?? 'of that id'}.`)
  }
}
