import { expect } from 'chai'
import {
  RunSupersededError,
  TrainingAbortedError,
  TrainingStoppedError,
  WorkerShutdownError,
} from '../../src/base/abort-reasons.js'
import { LoopfleetError } from '../../src/base/errors.js'
import { silentLogger } from '../../src/base/logger.js'
import type { JobHandle } from '../../src/queue/job-handle.js'
import type { StepJob } from '../../src/queue/job-schemas.js'
import type { Journal } from '../../src/queue/journal.js'
import type { Stage as StageName } from '../../src/queue/names.js'
import { allStages } from '../../src/workers/stages/index.js'
import type { Stage, StageDeps } from '../../src/workers/stages/stage.js'
import { createStepRunner, errorKeys } from '../../src/workers/step-runner.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { aPromise, aTraining, type TrainingOfTest } from './a-training.js'

describe('the runner of steps', () => {
  const folder = useTemporaryFolder()
  let of: TrainingOfTest
  beforeEach(() => {
    of = aTraining({ dataFolder: folder.path })
  })

  /** A runner whose one stage is the test's, with all that it writes. */
  function aRunner(name: StageName, stage: Stage) {
    const steps: {
      readonly stage: string
      readonly run: number
      readonly result: unknown
      readonly seconds: number
    }[] = []
    const { lines } = of
    const progress: unknown[] = []
    const jobLog: string[] = []
    const journal: Pick<Journal, 'finishStep'> = {
      async finishStep(_id, run, done, { seconds, result }, { patch, job } = {}) {
        await of.training.checkFence()
        Object.assign(of.record, patch)
        if (job?.progress !== undefined) progress.push(job.progress)
        jobLog.push(...(job?.lines ?? []))
        steps.push({ stage: done, run, result, seconds })
      },
    }
    const runStep = createStepRunner({
      stages: { ...allStages, [name]: stage },
      stageDeps: {} as StageDeps, // the stages of these tests need none
      journal: journal as Journal, // no other method is called
      findRun: (id) => (id === of.training.id ? of.training : undefined),
      log: silentLogger(),
    })
    const handle = (change: Partial<StepJob> = {}): JobHandle<StepJob> => ({
      id: `training1.1.${name}`,
      key: `job:training1.1.${name}`,
      name,
      data: { trainingId: 'training1', run: 1, stage: name, ...change },
      attemptsStarted: 1,
      attemptsMade: 0,
      updateProgress: async (figures) => void progress.push(figures),
      log: async (...lines) => void jobLog.push(...lines),
    })
    const controller = new AbortController()
    const run = (change?: Partial<StepJob>) => runStep(handle(change), controller.signal)
    return { run, steps, lines, progress, jobLog, controller }
  }

  it('notes the result in the journal before it says done', async () => {
    const { run, steps, jobLog } = aRunner('upload-model', async () => ({ modelId: 'm1' }))

    expect(await run()).to.deep.equal({ modelId: 'm1' })

    expect(steps).to.have.lengthOf(1)
    expect(steps[0]).to.deep.include({ stage: 'upload-model', run: 1, result: { modelId: 'm1' } })
    expect(jobLog[0]).to.equal('upload-model started on host-a, run 1, attempt 1')
    expect(jobLog.at(-1)).to.match(/^upload-model done in \d+\.\d\d s$/)
  })

  for (const [stage, state] of [
    ['download-data', 'data_downloaded'],
    ['train', 'training_finished'],
    ['sync-metrics', 'confusion_matrix_synced'],
    ['upload-model', 'train_model_uploaded'],
    ['detect', 'detected'],
  ] as const) {
    it(`shows ${state} in the moment in which ${stage} is done, with a fresh progress`, async () => {
      const { run } = aRunner(stage, async () => ({}))
      of.record.progress = 0.9

      await run()

      expect(of.record).to.deep.include({ state, progress: null })
      expect(of.updates.filter((update) => 'state' in update)).to.deep.equal([])
    })
  }

  it('leaves the state as it is after a step that has none of its own', async () => {
    const { run } = aRunner('convert', async () => ({}))
    of.record.state = 'confusion_matrix_synced'

    await run()

    expect(of.record.state).to.equal('confusion_matrix_synced')
  })

  it('still knows an error that it could not clear', async () => {
    const { run } = aRunner('upload-model', async () => ({}))
    of.record.errors = { upload_model: 'The Loop is away.' }
    const { training } = of
    const { checkFence } = training
    let checks = 0
    // The first check is that of the runner, the second that of the journal.
    Object.assign(training, {
      checkFence: async () => {
        checks += 1
        if (checks === 2) throw new LoopfleetError('LF_TEST', 'Redis is away.', { failure: 'transient' })
        await checkFence()
      },
    })

    await rejection(run())
    expect(Object.keys(of.record.errors)).to.deep.equal(['upload_model'])

    await run()
    expect(of.record.errors).to.deep.equal({})
  })

  it('passes progress on to the job and, of the stages that show it, to the training', async () => {
    const seen = aPromise()
    const { run, progress } = aRunner('detect', async (context) => {
      context.progress({ progress: 0.25 })
      context.progress({ message: 'half' })
      await seen.promise
      return {}
    })

    const running = run()
    await until('the first progress', () => progress.length === 1)
    seen.resolve()
    await running

    const figures = { message: 'half', gpus: null, process: null }
    expect(progress).to.deep.equal([
      { ...figures, progress: 0.25 },
      { ...figures, progress: 1 },
    ])
    expect(of.updates).to.deep.equal([{ progress: 0.25 }]) // then comes a state with a progress of its own
  })

  it('keeps the progress of other stages to the job, which ends at 1', async () => {
    const { run, progress } = aRunner('upload-model', async () => ({}))

    await run()

    expect(progress).to.deep.equal([{ progress: 1, gpus: null, process: null }])
    expect(of.updates).to.deep.equal([])
  })

  it('leaves it to the training program how far it came, since it may have been stopped', async () => {
    const { run, progress } = aRunner('train', async (context) => {
      context.progress({ progress: 0.4, epoch: 2, epochs: 5 })
      return { stopped: true }
    })

    await run()

    expect(progress).to.deep.equal([{ progress: 0.4, epoch: 2, epochs: 5, gpus: null, process: null }])
  })

  it('shows a failure under the key the Loop knows while the step is tried again, and clears it after', async () => {
    let takes = 0
    const { run, lines } = aRunner('upload-model', async () => {
      takes += 1
      if (takes === 1) throw new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' })
      return {}
    })
    of.record.errors = { prepare: 'older trouble' }

    const error = await rejection(run())
    expect(error.message).to.equal('The Loop is away.')
    expect(of.record.errors).to.deep.equal({ prepare: 'older trouble', upload_model: 'The Loop is away.' })
    expect(lines).to.include('upload-model failed: The Loop is away.')

    await run()
    expect(of.record.errors).to.deep.equal({ prepare: 'older trouble' })
  })

  it('knows an error key of the protocol for every stage of a training', () => {
    const known = ['prepare', 'download_model', 'run_training', 'sync_confusion_matrix', 'upload_model', 'detecting']

    const { cleanup, ...others } = errorKeys
    for (const key of Object.values(others)) expect([...known, 'upload_detections']).to.include(key)
  })

  it('throws what the stage threw even when the journal cannot be written', async () => {
    const { run } = aRunner('train', async () => {
      of.supersede(new Error('Redis is away'))
      throw new LoopfleetError('LF_TEST', 'The program died.', { failure: 'program' })
    })

    const error = await rejection(run())

    expect(error.message).to.equal('The program died.')
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

  it('runs nothing when another host has taken the training over', async () => {
    let hasRun = false
    const { run } = aRunner('upload-model', async () => {
      hasRun = true
      return {}
    })
    of.supersede(new RunSupersededError({ trainingId: 'training1', run: 1 }))

    expect(await rejection(run())).to.be.instanceOf(RunSupersededError)
    expect(hasRun).to.equal(false)
  })

  it('is not done when the run was superseded while the stage worked', async () => {
    const { run, steps } = aRunner('upload-model', async () => {
      of.supersede(new RunSupersededError({ trainingId: 'training1', run: 1 }))
      return {}
    })

    expect(await rejection(run())).to.be.instanceOf(RunSupersededError)
    expect(steps).to.deep.equal([])
  })

  it('gives a stage the signal of job and training, and throws the reason without showing an error', async () => {
    const begun = aPromise()
    const { run } = aRunner('upload-model', async ({ signal }) => {
      begun.resolve()
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('socket hang up'))))
      return {}
    })
    const running = run()
    await begun.promise

    of.training.stopSwitch.abort()

    expect(await rejection(running)).to.be.instanceOf(TrainingAbortedError)
    expect(of.record.errors).to.deep.equal({})
  })

  it('begins no stage that was ended before, but the training, which decides what a stop keeps', async () => {
    const { run: upload } = aRunner('download-data', async () => ({ begun: true }))
    const { run: train } = aRunner('train', async () => ({ stopped: true }))
    of.training.stopSwitch.phase = 'training'
    of.training.stopSwitch.stop()

    expect(await rejection(upload())).to.be.instanceOf(TrainingStoppedError)
    expect(await train()).to.deep.equal({ stopped: true })
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

  it('shows a warning once, in the log and at the Loop, and keeps it over the end of its stage', async () => {
    const { run, lines } = aRunner('download-data', async (context) => {
      context.warn('hyperparameters', 'not known')
      context.warn('hyperparameters', 'not known')
      return {}
    })

    await run()

    expect(of.record.errors).to.deep.equal({ hyperparameters: 'not known' })
    expect(lines.filter((line) => line.includes('not known'))).to.deep.equal(['warning: not known'])
  })

  it('takes warnings away when the training is over, and leaves errors', async () => {
    of = aTraining({
      dataFolder: folder.path,
      record: { errors: { hyperparameters: 'not known', detecting: 'no memory' } },
    })
    const { run } = aRunner('cleanup', async () => ({}))

    await run()

    expect(of.record.errors).to.deep.equal({ detecting: 'no memory' })
  })

  it('writes what a program prints to the log of the training with colours, and to that of the job without', async () => {
    const { run, lines, jobLog } = aRunner('convert', async ({ audience }) => {
      audience.show({ head: ['\u001b[31mred\u001b[0m text'], lost: 0, tail: [] })
      return {}
    })

    await run()

    expect(lines).to.include('\u001b[31mred\u001b[0m text')
    expect(jobLog).to.include('red text')
    expect(jobLog.join('')).not.to.contain('\u001b')
  })

  it('notes a pattern that was switched off as a warning of the run', async () => {
    const { run, lines } = aRunner('train', async ({ audience }) => {
      audience.warn('the pattern progress.log is off')
      return {}
    })

    await run()
    await until('it is noted', () => of.record.facts.warnings !== undefined)

    expect(of.record.facts.warnings).to.deep.equal({ run: 1, texts: ['the pattern progress.log is off'] })
    expect(lines).to.include('the pattern progress.log is off')
  })

  it('goes on when lines and progress cannot be written', async () => {
    const { run, progress } = aRunner('detect', async (context) => {
      context.progress({ progress: 0.5 })
      context.say('a line')
      return { images: 3 }
    })
    Object.assign(of.training, { update: () => Promise.reject(new Error('Redis is away')) })

    expect(await run()).to.deep.equal({ images: 3 })
    expect(progress).to.have.lengthOf(1)
  })
})
