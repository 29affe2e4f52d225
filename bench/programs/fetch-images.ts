// Our client: fetches images from the Loop at the address of the first argument.
import process from 'node:process'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createImageExchange } from '../../src/loop/client/images/image-exchange.js'
import { createLoopRest } from '../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { idsUpTo } from '../parts/stub-names.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const log = silentLogger()
const account = { username: 'ada', password: 'lovelace' }
const session = createLoopSession({ host: process.argv[2] ?? '', ...account }, { log })
const rest = createLoopRest(session)
const taskSchema = z.object({ folder: z.string(), count: z.int(), useJpeginfo: z.boolean() })

await doTasks(taskSchema, async ({ folder, count, useJpeginfo }) => {
  const exchange = createImageExchange({ folder, useJpeginfo }, { rest, session, log })
  const what = { organization: 'o', project: 'p', ids: idsUpTo(count), signal: new AbortController().signal }
  let available = 0
  const seconds = await secondsOf(async () => {
    available = (await exchange.fetchImages(what)).available.length
  })
  return { seconds, available }
})
session.close()
