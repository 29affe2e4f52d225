import { serialize } from 'cookie'
import type { FastifyInstance } from 'fastify'
import { loginFormSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { RefusedError } from '../refused-error.js'
import { SESSION_COOKIE } from '../sessions.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs no login. */
    open?: boolean
  }
}

/** Readiness, login and logout, and the rule that everything else needs a session. */
export function registerLogin(app: FastifyInstance, context: LoopContext): void {
  const { sessions } = context
  app.addHook('onRequest', async (request) => {
    if (!request.url.startsWith('/api/') || request.routeOptions.config.open === true) return
    const { cookie, authorization } = request.headers
    const isLocal = request.url.startsWith('/api/local/')
    if (sessions.isAllowed({ cookie, authorization: isLocal ? authorization : undefined })) return
    throw new RefusedError(401, 'Not logged in, or the session has expired.')
  })

  app.get('/api/status', { config: { open: true } }, async () => ({ status: 'ok' }))

  app.post('/api/login', { config: { open: true } }, async (request, reply) => {
    const token = sessions.login(loginFormSchema.safeParse(request.body ?? {}).data ?? { username: '', password: '' })
    if (token === undefined) throw new RefusedError(401, 'User name or password is wrong.')
    reply.header('set-cookie', serialize(SESSION_COOKIE, token, { httpOnly: true, path: '/', sameSite: 'strict' }))
    return { success: true }
  })

  app.post('/api/logout', { config: { open: true } }, async (request) => {
    sessions.logout(request.headers.cookie)
    return { success: true }
  })
}
