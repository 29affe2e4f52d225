import { EventEmitter } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { type Closers, openResource } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { categorySchema } from '../../loop/protocol/index.js'
import { type LoopAccess, toAccess } from './access.js'
import type { LoopContext } from './context.js'
import { openEffects } from './effects.js'
import type { FaultRule } from './faults/fault-rule.js'
import { createFaults } from './faults/faults.js'
import { addProject } from './generated/add-project.js'
import { addTrainingOf, attachMockedFiles } from './generated/trainings.js'
import { uuidOf } from './generator/random.js'
import { createLoopHttp } from './http-server.js'
import { newModel } from './models/add-model.js'
import { createNodes } from './nodes.js'
import { registerRoutes } from './routes.js'
import { createSessions } from './sessions.js'
import { createLoopSocket, refusalOf, serveSockets } from './socket/server.js'
import { openStore } from './store/store.js'

export type LocalLoopOptions = {
  /** 0 takes a free one. */
  readonly port?: number
  readonly host?: string
  /** Where everything is kept; the same folder again goes on where it was. */
  readonly folder: string
  readonly seed?: number
  /** Without both, nobody needs to log in and every login succeeds. */
  readonly username?: string
  readonly password?: string
  readonly faults?: readonly FaultRule[]
  /** Names to which it answers beside those of this machine, when it is bound to loopback. */
  readonly allowedHosts?: readonly string[]
  /** Aborts when the Loop is asked to end. */
  readonly ending?: AbortSignal
}

export type LocalLoop = LoopAccess & {
  readonly url: string
  /** Host and port, for LOOP_HOST. */
  readonly host: string
  /** Resolves when the server answers; it has, once `startLocalLoop` has. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

/** Starts a Loop server for development, tests and demos: REST, socket, generator, page, persistent in a folder. */
export function startLocalLoop(options: LocalLoopOptions, deps: { readonly log: Logger }): Promise<LocalLoop> {
  const log = deps.log.child({ component: 'local-loop' })
  return openResource(log, (closers) => open(options, log, closers))
}

async function open(options: LocalLoopOptions, log: Logger, closers: Closers) {
  const { port = 0, host = '127.0.0.1', folder, seed = 1, username, password, faults = [], allowedHosts = [] } = options
  const now = Date.now
  await mkdir(folder, { recursive: true })
  const [store, effects] = [await openStore(folder), await openEffects(folder, { now })]
  closers.add('files', () => Promise.all([store.drained(), effects.drained()]))
  let isReady = false
  const http = await createLoopHttp(
    {
      allowedHosts: [host, ...allowedHosts],
      whyNotReady: () => (isReady ? undefined : 'The projects are being prepared.'),
      ...(options.ending && { ending: options.ending }),
    },
    { log },
  )
  const { app } = http
  closers.add('HTTP server', () => app.close())
  const changes = new EventEmitter({ captureRejections: false }).setMaxListeners(0)
  const needsLogin = username !== undefined || password !== undefined
  let url = ''
  const context: LoopContext = {
    store,
    effects,
    log,
    now,
    seed,
    nodes: createNodes({ now }),
    sessions: createSessions(needsLogin ? { username: username ?? '', password: password ?? '' } : undefined),
    faults: createFaults(faults),
    sockets: createLoopSocket(http, (request) => refusalOf(context, request)),
    url: () => url,
    changed: () => changes.emit('changed'),
  }
  closers.add('sockets', () => context.sockets.close())
  registerRoutes(app, context)
  serveSockets(context)
  url = await app.listen({ port, host })
  await addDemoProject(context)
  isReady = true
  log.info({ url, folder }, 'local Loop listens')
  return { ...toAccess(context, changes), url, host: new URL(url).host, ready: Promise.resolve() }
}

const MODELS = [
  { version: '1.0', id: '00000000-0000-0000-0000-000000000010' },
  { version: '1.1', id: '00000000-0000-0000-0000-000000000011' },
  { version: '1.2', id: '00000000-0000-0000-0000-000000000012' },
]
const TARGET = '00000000-0000-0000-0000-000000000011'

/** Makes the project `zauberzeug/demo` that the tests of the Python library expect, unless it is there. */
async function addDemoProject(context: LoopContext): Promise<void> {
  if (context.store.find('zauberzeug', 'demo') !== undefined) return
  await addProject(context, 'zauberzeug', {
    project_name: 'demo',
    complete: 3,
    inbox: 1,
    box_categories: 2,
    point_categories: 1,
  })
  const project = context.store.project('zauberzeug', 'demo')
  const purple = { id: uuidOf('zauberzeug/demo/purple point'), name: 'purple point', type: 'point', point_size: 20 }
  project.record.categories.push(categorySchema.parse({ ...purple, color: '#911eb4' }))
  for (const { version, id } of MODELS) {
    project.record.models.push(newModel(version, project.record.created, 'model of the demo project', id))
    await attachMockedFiles(context, project, id)
  }
  addTrainingOf(project, '00000000-0000-0000-0000-000000000012', context)
  project.record.target = TARGET
  await project.save()
}
