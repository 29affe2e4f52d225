import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io, type Socket } from 'socket.io-client'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type LocalLoop, type LocalLoopOptions, startLocalLoop } from '../../../src/mock/loop/index.js'

export type TestLoop = LocalLoop & {
  readonly folder: string
  /** Asks the REST API; the body is parsed if it is JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>
  /** Connects as a node. */
  connect(nodeType: string, headers?: Record<string, string>): Promise<Socket>
  restart(options?: Partial<LocalLoopOptions>): Promise<TestLoop>
  remove(): Promise<void>
}

export type Reply = {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly json: any
  readonly bytes: Buffer
}

/** A local Loop in a fresh folder, with the sockets that were opened to it. */
export async function startLoop(options: Partial<LocalLoopOptions> = {}): Promise<TestLoop> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'loopfleet-loop-')))
  const loop = await startLocalLoop({ ...options, folder }, { log: silentLogger() })
  const sockets: Socket[] = []
  const close = async () => {
    for (const socket of sockets) socket.close()
    await loop.close()
  }
  return {
    ...loop,
    folder,
    close,
    call: async (method, path, body, headers = {}) => {
      const isPlain = body !== undefined && !(body instanceof FormData) && !(body instanceof URLSearchParams)
      const response = await fetch(`${loop.url}${path}`, {
        method,
        headers: isPlain ? { 'content-type': 'application/json', ...headers } : headers,
        body: isPlain ? JSON.stringify(body) : (body as FormData | undefined),
      })
      const bytes = Buffer.from(await response.arrayBuffer())
      const isJson = response.headers.get('content-type')?.includes('json')
      return {
        status: response.status,
        headers: response.headers,
        json: isJson ? JSON.parse(`${bytes}`) : undefined,
        bytes,
      }
    },
    connect: (nodeType, headers = {}) => {
      const extraHeaders = { organization: '', project: '', nodeType, ...headers }
      const socket = io(loop.url, { path: '/ws/socket.io/', extraHeaders, reconnection: false, forceNew: true })
      sockets.push(socket)
      return new Promise((resolve, reject) => {
        socket.once('connect', () => resolve(socket))
        socket.once('connect_error', reject)
      })
    },
    restart: async (more = {}) => {
      await close()
      return await startLoop({ ...options, ...more, folder })
    },
    remove: async () => {
      await close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export const idleStatus = {
  id: 'trainer-1',
  name: 'Trainer One',
  state: 'idle',
  errors: {},
  uptime: null,
  progress: null,
  pretrained_models: [{ name: 'small', label: 'Small', description: '' }],
  architecture: 'shapes',
  context: null,
}

export function busyStatus(state: string, progress: number | null = null) {
  return { ...idleStatus, state, progress, uptime: 1, context: { organization: 'zauberzeug', project: 'shapes' } }
}

export function metricsOf(categoryId: string) {
  return {
    trainer_id: 'trainer-1',
    trainer_name: 'Trainer One',
    confusion_matrix: { [categoryId]: { tp: 3, fp: 1, fn: 0 } },
    train_image_count: 3,
    test_image_count: 2,
    hyperparameters: { resolution: 640 },
    best_epoch: 4,
  }
}

export function filesForm(files: Record<string, string | Buffer>, part = 'files'): FormData {
  const form = new FormData()
  for (const [name, content] of Object.entries(files)) form.append(part, new Blob([Buffer.from(content)]), name)
  return form
}
