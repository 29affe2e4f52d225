// The queue's share of a training: all its jobs with stages that do nothing, by our pipeline, by our queues alone, and
// by BullMQ alone. The first argument is the address of Redis.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { loadTrainerDefinition } from '../../src/executors/definition/definition.js'
import { openRedis } from '../../src/queue/redis/open-redis.js'
import { openBareChain } from '../parts/chain-bare.js'
import { openPipeline } from '../parts/chain-pipeline.js'
import { openQueuesChain } from '../parts/chain-queues.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const log = silentLogger()
const link = await openRedis(process.argv[2] ?? '', { log })
const folder = await mkdtemp(join(tmpdir(), 'loopfleet-bench-pipeline-'))
const definition = await loadTrainerDefinition(
  fileURLToPath(new URL('../trainers/no-op/trainer.yaml', import.meta.url)),
)
const chains = {
  pipeline: openPipeline({ link, definition, folder }, { log }),
  queues: openQueuesChain({ link }, { log }),
  bare: openBareChain({ link }),
}

await doTasks(z.object({ chain: z.enum(['pipeline', 'queues', 'bare']), count: z.int() }), async ({ chain, count }) => {
  const { run } = chains[chain]
  const seconds = await secondsOf(async () => {
    for (let index = 0; index < count; index++) await run()
  })
  return { seconds }
})
await Promise.all(Object.values(chains).map((chain) => chain.close()))
await link.close()
await removeTree(folder)
