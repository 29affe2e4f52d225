import type { FastifyInstance, FastifyReply } from 'fastify'
import { errorConfigurationSchema, type TestControls } from './test-controls.js'

/**
 * The test endpoints of the Python library's mock trainer (USE_BACKDOOR_CONTROLS), on a server that hands bodies on as
 * text: provide_new_model, error_configuration, steps, kill_training_process.
 */
export function registerTestRoutes(server: FastifyInstance, controls: Omit<TestControls, 'close'>): void {
  server.put('/provide_new_model', async (request, reply) => {
    const text = textOf(request.body).replaceAll('"', '')
    if (text !== 'on' && text !== 'off') return refuse(reply, 400, 'Invalid state')
    await controls.configure({ provide_new_model: text === 'on' })
    return done(reply)
  })
  server.put('/error_configuration', async (request, reply) => {
    const parsed = errorConfigurationSchema.safeParse(parseJson(textOf(request.body)))
    if (!parsed.success) return refuse(reply, 422, 'must be an object of true and false')
    await controls.configure({ error_configuration: parsed.data })
    return done(reply)
  })
  server.post('/steps', async (request, reply) => {
    const steps = Number(textOf(request.body) || Number.NaN)
    if (!Number.isInteger(steps) || steps < 0) return refuse(reply, 422, 'must be a whole number')
    return (await controls.makeSteps(steps)) ? done(reply) : refuse(reply, 409, 'trainer is not running')
  })
  server.post('/kill_training_process', async (_request, reply) => {
    return (await controls.kill()) ? done(reply) : refuse(reply, 409, 'trainer is not running')
  })
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body.trim() : ''
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the schema says what is wrong with that
  }
}

function done(reply: FastifyReply): FastifyReply {
  return reply.type('application/json').send('null')
}

function refuse(reply: FastifyReply, code: number, detail: string): FastifyReply {
  return reply.code(code).send({ detail })
}
