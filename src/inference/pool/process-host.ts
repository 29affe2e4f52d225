import process from 'node:process'
import { createLogger } from '../../base/logger/index.js'
import { toThreadError } from '../backends/thread-error.js'
import { tooManyThreadsLost } from '../basics/index.js'
import { createInferencePool, type InferencePool } from './pool.js'
import type { HostAnswer, HostRequest } from './process-messages.js'

// Entry of a process that holds the pool of another one, which replaces it when it ends.
const log = createLogger()
let pool: InferencePool | undefined

process.on('message', (request: HostRequest) => void handle(request))
process.once('disconnect', () => process.exit()) // the other process has closed it, or has ended
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined) // a group gets them; the other one decides
void tooManyThreadsLost(new AbortController().signal).then((err) => {
  log.error({ err }, 'inference process ends')
  process.exit()
})

async function handle(request: HostRequest): Promise<void> {
  const { id } = request
  try {
    if (request.kind === 'start') {
      log.level = request.logLevel
      pool = await createInferencePool(request.options, { log })
    }
    if (request.kind === 'close') await pool?.close()
    const found = request.kind === 'detect' ? await pool?.detect(request.image) : undefined
    const { threadIds = [], warnings = [] } = pool ?? {}
    answer({ id, ok: true, threadIds, warnings, found })
  } catch (error) {
    answer({ id, ok: false, error: toThreadError(error) })
  }
}

function answer(message: HostAnswer): void {
  process.send?.(message, undefined, undefined, () => undefined) // the other process may have ended
}
