import type { Fleet } from './fleet-types.js'
import { until } from './until.js'

/**
 * For `afterEach` of a suite whose tests share a fleet: what a failed test has left (faults, dead parts, trainings) is
 * removed, so that the next one finds an idle seat. Throws when the test has passed and left a training.
 */
export async function tidyUp(fleet: Fleet, test: { readonly state?: string } | undefined): Promise<void> {
  fleet.loop.clearFaults()
  if (fleet.trainer.hasExited) await fleet.startTrainer()
  if (fleet.workers.length === 0) await fleet.startWorker()
  const unfinished = async () => (await fleet.journal.list()).filter(({ endedAt }) => endedAt === null)
  const left = await unfinished()
  if (left.length === 0) return

  for (const { id } of left) await fleet.run('trainings', 'abort', id)
  await until('no training is unfinished', async () => (await unfinished()).length === 0, 30_000)
  const seats = () => fleet.loop.nodes().filter(({ type }) => type === 'trainer')
  await until('the seats are idle', () => seats().every(({ state }) => state === 'idle'), 30_000)
  const names = left.map(({ order }) => `${order.project}#${order.trainingNumber}`).join(', ')
  if (test?.state === 'passed') throw new Error(`The test has left trainings behind: ${names}.`)
}
