import { expect } from 'chai'
import { TrainingAbortedError } from '../../src/base/abort-reasons.js'
import type { Stage as StageName } from '../../src/queue/names.js'
import { JobRemovedError } from '../../src/queue/queue-errors.js'
import type { Queues } from '../../src/queue/queues.js'
import { createJobSteps } from '../../src/workers/job-steps.js'
import { allStages } from '../../src/workers/stages/index.js'
import { createStopSwitch } from '../../src/workers/stop-switch.js'
import { rejection } from '../helpers/rejection.js'
import { until } from '../helpers/until.js'
import { aPromise } from './a-training.js'

describe('the steps of a run as jobs', () => {
  /** Queues whose jobs end when and how the test says. */
  function someSteps(outcome: (take: number) => Promise<unknown> = async () => undefined) {
    const added: object[] = []
    const removed: string[] = []
    const queues: Pick<Queues, 'runJob' | 'remove'> = {
      async runJob(queue, name, data, { id }) {
        added.push({ queue, name, data, id })
        return outcome(added.length)
      },
      async remove(_queue, id) {
        removed.push(id)
        return true
      },
    }
    const stopSwitch = createStopSwitch()
    const runStep = createJobSteps({ id: 'training1', run: 1, hostId: 'host-a', stopSwitch }, queues)
    const run = (name: StageName) => runStep(allStages[name], stopSwitch.signalFor(allStages[name]))
    return { run, added, removed, stopSwitch }
  }

  it('are on this host, under the queue of their kind of work', async () => {
    const { run, added } = someSteps()

    await run('upload-model')

    const data = { trainingId: 'training1', run: 1, stage: 'upload-model' }
    const id = 'training1.1.upload-model'
    expect(added).to.deep.equal([{ queue: 'host-a.upload', name: 'upload-model', data, id }])
  })

  it('are taken out of their queue when they are ended while they wait', async () => {
    const gone = aPromise()
    const { run, removed, stopSwitch } = someSteps(() => gone.promise)
    const step = run('upload-model')

    stopSwitch.end(new TrainingAbortedError())
    await until('it is taken out', () => removed.length > 0)
    gone.reject(new JobRemovedError({ queue: 'host-a.upload', id: 'training1.1.upload-model' }))

    expect(await rejection(step)).to.be.instanceOf(JobRemovedError)
    expect(removed).to.deep.equal(['training1.1.upload-model'])
  })

  it('are added again for a training that was stopped while it waited for another attempt', async () => {
    const waiting = aPromise()
    const { run, added, stopSwitch } = someSteps((take) => (take === 1 ? waiting.promise : Promise.resolve()))
    const step = run('train')
    await until('it is added', () => added.length === 1)

    stopSwitch.stop()
    waiting.reject(new JobRemovedError({ queue: 'host-a.train', id: 'training1.1.train' }))
    await step

    expect(added).to.have.lengthOf(2)
  })
})
