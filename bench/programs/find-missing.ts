// Our client asked for images that are all on disk: what is left is the look at the folder.
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createImageExchange } from '../../src/loop/client/images/image-exchange.js'
import { createLoopRest } from '../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { idsUpTo } from '../parts/stub-names.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const log = silentLogger()
const session = createLoopSession({ host: '127.0.0.1:9' }, { log }) // nobody is asked
const rest = createLoopRest(session)

await doTasks(z.object({ folder: z.string(), count: z.int() }), async ({ folder, count }) => {
  const exchange = createImageExchange({ folder }, { rest, session, log })
  const what = { organization: 'o', project: 'p', ids: idsUpTo(count), signal: new AbortController().signal }
  let available = 0
  const seconds = await secondsOf(async () => {
    available = (await exchange.fetchImages(what)).available.length
  })
  return { seconds, available }
})
session.close()
