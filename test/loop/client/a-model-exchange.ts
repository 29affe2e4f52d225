import { silentLogger } from '../../../src/base/logger/logger.js'
import { createModelExchange, type ModelExchange } from '../../../src/loop/client/models/model-exchange.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import type { Category } from '../../../src/loop/protocol/index.js'
import { type HttpLoop, type Reply, type SeenRequest, startHttpLoop } from '../../helpers/http-loop.js'

export const category: Category = {
  id: 'c1',
  name: 'box',
  description: null,
  hotkey: null,
  color: null,
  point_size: null,
  type: 'box',
}

/** Model exchanges with servers that answer as a test wants, closed after it. */
export function useModelExchanges() {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function open(
    answer: (request: SeenRequest) => Reply | Promise<Reply>,
    account: { username?: string; password?: string } = {},
  ): Promise<{ exchange: ModelExchange; loop: HttpLoop }> {
    const log = silentLogger()
    const loop = await startHttpLoop(answer)
    const session = createLoopSession({ host: loop.host, ...account }, { log })
    closers.push(
      () => loop.close(),
      () => session.close(),
    )
    return { exchange: createModelExchange({ session, log }, { retryFirstMs: 1 }), loop }
  }

  return { open, closers }
}
