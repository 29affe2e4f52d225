import { type ConnectionOptions, Queue, QueueEvents, Worker } from 'bullmq'
import type { RedisLink } from '../../src/queue/redis/open-redis.js'
import { allStages } from '../../src/workers/trainings/pipeline.js'
import { type Chain, chainKinds, chainSteps } from './chain.js'

/** The same jobs as a training's, added and awaited by BullMQ's own means and worked on by processors that do nothing. */
export function openBareChain({ link }: { readonly link: RedisLink }): Chain {
  const connection: ConnectionOptions = link.connection()
  const shared = { connection, prefix: `${link.prefix}bare` }
  const queues = new Map(['trainings', ...chainKinds].map((name) => [name, new Queue(name, shared)]))
  const events = new Map([...queues.keys()].map((name) => [name, new QueueEvents(name, shared)]))
  const workers = chainKinds.map((kind) => new Worker(kind, async () => ({}), { ...shared, concurrency: 2 }))
  workers.push(new Worker('trainings', async (job) => walk(String(job.id)), { ...shared, concurrency: 2 }))
  let count = 0

  async function walk(training: string): Promise<object> {
    for (const stages of chainSteps) {
      await Promise.all(stages.map((stage) => runJob(allStages[stage].kind, stage, `${training}-${stage}`)))
    }
    return {}
  }

  async function runJob(queueName: string, name: string, jobId: string): Promise<void> {
    const queue = queues.get(queueName)
    const queueEvents = events.get(queueName)
    if (queue === undefined || queueEvents === undefined) throw new Error(`no queue ${queueName}`)
    const job = await queue.add(name, { jobId }, { jobId })
    await job.waitUntilFinished(queueEvents)
  }

  return {
    async run() {
      count += 1
      await runJob('trainings', 'training', `bare-${count}`)
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all([...events.values(), ...queues.values()].map((one) => one.close()))
    },
  }
}
