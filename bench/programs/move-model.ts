// Our client: brings a model down into a folder, or its file up, at the Loop whose address is the first argument.
import process from 'node:process'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createModelExchange } from '../../src/loop/client/models/model-exchange.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { MODEL_FORMAT, MODEL_ID } from '../parts/stub-names.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const log = silentLogger()
const account = { username: 'ada', password: 'lovelace' }
const session = createLoopSession({ host: process.argv[2] ?? '', ...account }, { log })
const models = createModelExchange({ session, log })
const place = { organization: 'o', project: 'p', format: MODEL_FORMAT, signal: new AbortController().signal }
const taskSchema = z.union([z.object({ down: z.string() }), z.object({ up: z.string() })])

await doTasks(taskSchema, async (task) => {
  const work =
    'down' in task
      ? () => models.download({ ...place, modelId: MODEL_ID, folder: task.down })
      : () => models.uploadTrained({ ...place, trainingNumber: 1, files: [task.up], modelJson: { categories: [] } })
  return { seconds: await secondsOf(work) }
})
session.close()
