import { pino } from 'pino'
import {
  createImageExchange,
  type ImageExchange,
  type ImageExchangeOptions,
} from '../../../src/loop/client/images/image-exchange.js'
import { createLoopRest } from '../../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { type HttpLoop, type Reply, type SeenRequest, startHttpLoop } from '../../helpers/http-loop.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

export const project = { organization: 'acme', project: 'demo' }
export const some = (count: number) => Array.from({ length: count }, (_, index) => `id-${index}`)
export const idOf = (request: SeenRequest) => /images\/([^/]+)\/main/.exec(request.url)?.[1] ?? ''

/** Image exchanges of a temporary folder with servers that answer as a test wants, closed after it. */
export function useImageExchanges() {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })
  const folder = useTemporaryFolder() // removed when all is closed

  async function open(
    answer: (request: SeenRequest) => Reply | Promise<Reply>,
    options: Partial<ImageExchangeOptions> = {},
  ): Promise<{ exchange: ImageExchange; loop: HttpLoop; logged: unknown[] }> {
    const logged: unknown[] = []
    const log = pino({ level: 'warn' }, { write: (line) => void logged.push(JSON.parse(line)) })
    const loop = await startHttpLoop(answer)
    const session = createLoopSession({ host: loop.host }, { log })
    closers.push(
      () => loop.close(),
      () => session.close(),
    )
    const rest = createLoopRest(session)
    const exchange = createImageExchange(
      { folder: folder.path, retryFirstMs: 1, useJpeginfo: false, ...options },
      { rest, session, log },
    )
    return { exchange, loop, logged }
  }

  return { open, folder }
}
