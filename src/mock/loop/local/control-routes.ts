import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { LoopContext } from '../context.js'
import { type EffectKind, effectKinds } from '../effects.js'
import { checked } from '../judge/checks.js'
import { modelById } from '../models/model-list.js'
import { RefusedError } from '../refused-error.js'
import { numberParam, projectOf, queryValue } from '../rest/route-params.js'
import { endTraining, orderTraining } from '../trainings/orders.js'
import { evaluate } from './evaluation.js'
import { allTrainings } from './views.js'

/** What a person (or a test) does at this Loop: order, stop and abort trainings, deploy, inject faults, look. */
export function registerControlRoutes(app: FastifyInstance, context: LoopContext): void {
  app.post('/api/local/:o/:p/trainings', async (request) =>
    orderTraining(context, projectOf(context, request), request.body),
  )
  for (const kind of ['stop', 'abort'] as const) {
    app.post(`/api/local/:o/:p/trainings/:number/${kind}`, async (request) =>
      endTraining(context, projectOf(context, request), numberParam(request, 'number'), kind),
    )
  }
  app.get('/api/local/trainings', async () => ({ trainings: allTrainings(context) }))

  app.put('/api/local/:o/:p/deployment/target', async (request) => deploy(context, request))

  app.get('/api/local/:o/:p/evaluation', async (request) => {
    const iou = checked(z.coerce.number().min(0).max(1), queryValue(request, 'iou') ?? '0.5', 'iou')
    return evaluate(projectOf(context, request), queryValue(request, 'model_version'), iou)
  })

  app.get('/api/local/effects', async (request) => {
    const kind = queryValue(request, 'kind')
    const key = queryValue(request, 'key')
    return { effects: context.effects.list({ kind: kindOf(kind), key }) }
  })

  app.get('/api/local/faults', async () => ({ faults: context.faults.list() }))
  app.post('/api/local/faults', async (request) => context.faults.add(request.body))
  app.delete('/api/local/faults', async (request) => {
    const id = queryValue(request, 'id')
    context.faults.clear(id === undefined ? undefined : checked(z.coerce.number().int(), id, 'id'))
    return { success: true }
  })

  app.post('/api/local/sessions/expire', async () => {
    context.sessions.expireAll()
    return { success: true }
  })
}

async function deploy(context: LoopContext, request: FastifyRequest) {
  const project = projectOf(context, request)
  const { model_uuid } = checked(z.strictObject({ model_uuid: z.string().nullable() }), request.body, 'target')
  const model = model_uuid === null ? undefined : modelById(project, model_uuid)
  if (model !== undefined && !model.version) throw new RefusedError(409, `Model ${model.id} is not published.`)
  project.record.target = model?.id ?? null
  await project.save()
  context.changed()
  return { model_uuid: model?.id ?? null, version: model?.version ?? null }
}

function kindOf(given: string | undefined): EffectKind | undefined {
  if (given === undefined) return undefined
  const kind = effectKinds.find((known) => known === given)
  if (kind === undefined) throw new RefusedError(422, `kind: must be one of ${effectKinds.join(', ')}.`)
  return kind
}
