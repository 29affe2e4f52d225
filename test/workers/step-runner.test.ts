import { expect } from 'chai'
import { TrainingAbortedError, WorkerShutdownError } from '../../src/base/abort-reasons.js'
import type { JobHandle } from '../../src/queue/job-handle.js'
import type { StepJob } from '../../src/queue/job-schemas.js'
import type { Stage as StageName } from '../../src/queue/names.js'
import type { Stage, StageDeps } from '../../src/workers/stages/stage.js'
import { createStepRunner } from '../../src/workers/step-runner.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { aPromise, aTraining, stagesThat, type TrainingOfTest } from './a-training.js'

describe('the runner of step jobs', () => {
  const folder = useTemporaryFolder()
  let of: TrainingOfTest
  beforeEach(() => {
    of = aTraining({ dataFolder: folder.path })
  })

  function aRunner(name: StageName, work: Stage['run']) {
    const done: unknown[] = []
    const runStep = createStepRunner({
      stages: stagesThat(() => work),
      stageDeps: {} as StageDeps, // the stages of these tests need none
      journal: { finishStep: async (...step) => void done.push(step) },
      findRun: (id) => (id === of.training.id ? of.training : undefined),
    })
    const handle = (change: Partial<StepJob> = {}): JobHandle<StepJob> => ({
      id: `training1.1.${name}`,
      key: `job:training1.1.${name}`,
      name,
      data: { trainingId: 'training1', run: 1, stage: name, ...change },
      attemptsStarted: 1,
      attemptsMade: 0,
      updateProgress: async () => undefined,
      log: async () => undefined,
    })
    const controller = new AbortController()
    return { run: (change?: Partial<StepJob>) => runStep(handle(change), controller.signal), done, controller }
  }

  it('notes the step together with what its job shows last', async () => {
    const { run, done } = aRunner('upload-model', async () => ({ modelId: 'm1' }))

    expect(await run()).to.deep.equal({ modelId: 'm1' })

    const [[id, number, stage, step, also]] = done as [[string, number, string, object, { job: object }]]
    expect([id, number, stage]).to.deep.equal(['training1', 1, 'upload-model'])
    expect(step).to.deep.include({ hostId: 'host-a', result: { modelId: 'm1' } })
    expect(also.job).to.include({ key: 'job:training1.1.upload-model' })
  })

  for (const [what, change] of [
    ['another run', { run: 7 }],
    ['a training that is not here', { trainingId: 'unknown' }],
  ] as const) {
    it(`drops a job of ${what} without running it`, async () => {
      let hasRun = false
      const { run } = aRunner('train', async () => {
        hasRun = true
        return {}
      })

      const error = await rejection(run(change))

      expect(error.code).to.equal('LF_STALE_STEP')
      expect(hasRun).to.equal(false)
    })
  }

  it('ends a step with its job, and throws the reason', async () => {
    const { run, controller } = aRunner('upload-model', async ({ signal }) => {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('socket hang up'))))
      return {}
    })
    const running = run()

    controller.abort(new TrainingAbortedError())

    expect(await rejection(running)).to.be.instanceOf(TrainingAbortedError)
  })

  it('ends a step of a worker that goes down for good, since the training is handed back as a whole', async () => {
    const { run } = aRunner('upload-model', async ({ signal }) => {
      signal.throwIfAborted()
      return {}
    })
    of.training.stopSwitch.end(new WorkerShutdownError())

    const error = await rejection(run())

    expect(error.code).to.equal('LF_STEP_HANDED_BACK')
    expect(error).not.to.be.instanceOf(WorkerShutdownError)
  })

  it('lets a second take of a job wait until the first has wound down', async () => {
    const first = aPromise()
    const order: string[] = []
    let takes = 0
    const { run } = aRunner('upload-model', async () => {
      takes += 1
      const take = takes
      order.push(`begin ${take}`)
      if (take === 1) await first.promise
      order.push(`end ${take}`)
      return {}
    })

    const both = [run(), run()]
    await until('the first has begun', () => order.length === 1)
    first.resolve()
    await Promise.all(both)

    expect(order).to.deep.equal(['begin 1', 'end 1', 'begin 2', 'end 2'])
  })
})
