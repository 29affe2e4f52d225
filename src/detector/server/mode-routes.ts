import type { FastifyInstance } from 'fastify'
import { operationModes, outboxModes } from '../../loop/protocol/index.js'
import type { Detector } from '../serving/detector.js'
import { DetectorRequestError } from '../serving/errors.js'
import { wordOf } from './request-values.js'
import { modeDocs } from './route-docs.js'

/** What the detector is doing, and the switches for it; bodies are bare words, answers `"OK"`. */
export function registerModeRoutes(app: FastifyInstance, detector: Detector): void {
  app.get('/about', { schema: modeDocs.about }, async () => detector.about())

  app.get('/operation_mode', { schema: modeDocs.operationMode }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(detector.condition().operationMode),
  )
  app.put('/operation_mode', { schema: modeDocs.setOperationMode }, async (request, reply) => {
    detector.setOperationMode(oneOf(operationModes, request.body, 'operation mode'))
    return ok(reply)
  })

  app.get('/model_version', { schema: modeDocs.modelVersion }, async () => detector.modelVersion())
  app.put('/model_version', { schema: modeDocs.setModelVersion }, async (request, reply) => {
    await detector.setModelVersion(wordOf(request.body))
    return ok(reply)
  })

  app.get('/outbox_mode', { schema: modeDocs.outboxMode }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(detector.outboxMode()),
  )
  app.put('/outbox_mode', { schema: modeDocs.setOutboxMode }, async (request, reply) => {
    await detector.setOutboxMode(oneOf(outboxModes, request.body, 'outbox mode'))
    return ok(reply)
  })
}

type Reply = { type(type: string): Reply; send(payload: string): Reply }

function ok(reply: Reply): Reply {
  return reply.type('application/json').send('"OK"')
}

/** The word if it is one of these. Throws a 422. */
export function oneOf<Word extends string>(words: readonly Word[], given: unknown, what: string): Word {
  const text = wordOf(given)
  const word = words.find((known) => known === text)
  if (word !== undefined) return word
  const message = `The ${what} must be one of ${words.join(', ')}, got ${JSON.stringify(text.slice(0, 60))}.`
  throw new DetectorRequestError(message, { status: 422 })
}
