import { z } from 'zod'
import type { Logger } from '../../src/base/logger/logger.js'
import { createQueues } from '../../src/queue/jobs/queues.js'
import type { RedisLink } from '../../src/queue/redis/open-redis.js'
import { allStages } from '../../src/workers/trainings/pipeline.js'
import { type Chain, chainKinds, chainSteps } from './chain.js'

/** The same jobs by loopfleet's queues, without journal, fences and stages. */
export function openQueuesChain({ link }: { readonly link: RedisLink }, { log }: { readonly log: Logger }): Chain {
  const queues = createQueues(link, { log })
  const settings = { schema: z.object({}), concurrency: 2 }
  for (const kind of chainKinds) queues.consume(`chain.${kind}`, async () => ({}), settings)
  queues.consume('chain.trainings', async (job) => walk(job.id), settings)
  let count = 0

  async function walk(training: string): Promise<object> {
    for (const stages of chainSteps) {
      await Promise.all(
        stages.map((stage) => {
          const id = `${training}.${stage}`
          return queues.runJob(`chain.${allStages[stage].kind}`, stage, {}, { id })
        }),
      )
    }
    return {}
  }

  return {
    async run() {
      count += 1
      await queues.runJob('chain.trainings', 'training', {}, { id: `chain-${count}` })
    },
    close: () => queues.close(),
  }
}
