import type { FastifyInstance, FastifyReply } from 'fastify'

const RETRY_AFTER_SECONDS = 2

/**
 * Lets a server that closes finish what is being answered, for `graceMs` at most. Meanwhile it listens on, so that probes
 * see why it is not ready; other requests are to be refused. Answers whether the server closes.
 */
export function finishAnswers(app: FastifyInstance, graceMs: number): () => boolean {
  let isClosing = false
  let count = 0
  let allAnswered: () => void = () => undefined

  app.server.on('request', (_request, response) => {
    count += 1
    response.once('close', () => {
      count -= 1
      if (count === 0) allAnswered()
    })
  })
  app.addHook('preClose', async () => {
    isClosing = true
    if (count === 0 || graceMs === 0) return
    await new Promise<void>((resolve) => {
      const giveUp = setTimeout(resolve, graceMs)
      allAnswered = () => {
        clearTimeout(giveUp)
        resolve()
      }
    })
  })
  return () => isClosing
}

export function refuseBecauseItEnds(reply: FastifyReply): FastifyReply {
  reply.code(503).header('connection', 'close').header('retry-after', RETRY_AFTER_SECONDS)
  return reply.send({ detail: 'The server is stopping.' })
}
