import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { LoopContext } from '../context.js'
import { checked } from '../judge/checks.js'
import type { LoopNode } from '../nodes.js'
import { RefusedError } from '../refused-error.js'
import { param } from '../rest/route-params.js'
import { emitToNode } from '../socket/emit.js'
import { nodeView } from './views.js'

/** Nodes: who is there, restart, and a user's input for annotators. */
export function registerNodeRoutes(app: FastifyInstance, context: LoopContext): void {
  app.get('/api/local/nodes', async () => ({ nodes: context.nodes.list().map((node) => nodeView(context, node)) }))

  app.post('/api/local/nodes/:id/restart', async (request) => {
    const { socketId } = nodeOf(context, param(request, 'id'))
    context.sockets.sockets.sockets.get(socketId ?? '')?.emit('restart')
    return { success: true }
  })

  app.post('/api/local/nodes/:id/user-input', async (request) => ({
    ack: await emitToNode(context, nodeOf(context, param(request, 'id')), 'handle_user_input', [request.body]),
  }))

  app.post('/api/local/nodes/:id/user-logout', async (request) => {
    const { frontend_id } = checked(z.strictObject({ frontend_id: z.string() }), request.body, 'user-logout')
    return { ack: await emitToNode(context, nodeOf(context, param(request, 'id')), 'user_logout', [frontend_id]) }
  })
}

function nodeOf(context: LoopContext, id: string): LoopNode {
  const node = context.nodes.get(id)
  if (node === undefined) throw new RefusedError(404, `There is no node ${id}.`)
  if (!node.connected || node.socketId === null) throw new RefusedError(409, `Node ${node.name} has no open socket.`)
  return node
}
