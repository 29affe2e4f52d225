import { expect } from 'chai'
import { RunSupersededError, TrainingAbortedError, TrainingStoppedError } from '../../../src/base/abort-reasons.js'
import { LoopfleetError } from '../../../src/base/errors.js'
import type { Stage as StageName } from '../../../src/queue/jobs/names.js'
import { createStageRunner, type StepJob } from '../../../src/workers/trainings/run-stage.js'
import type { Stage, StageDeps } from '../../../src/workers/trainings/stages/stage.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { aPromise, aTraining, stagesThat, type TrainingOfTest } from '../a-training.js'

describe('the runner of stages', () => {
  const folder = useTemporaryFolder()
  let of: TrainingOfTest
  beforeEach(() => {
    of = aTraining({ dataFolder: folder.path })
  })

  /** A runner whose one stage does what the test says, with all that it writes. */
  function aRunner(name: StageName, work: Stage['run']) {
    const steps: { readonly result: unknown; readonly seconds: number }[] = []
    const { lines } = of
    const progress: unknown[] = []
    const jobLog: string[] = []
    const stage = stagesThat(() => work)[name]
    const runStage = createStageRunner({ stageDeps: {} as StageDeps }) // the stages of these tests need none
    const controller = new AbortController()
    const run = (attempt = 1) => {
      const signal = AbortSignal.any([controller.signal, of.training.stopSwitch.signalFor(stage)])
      return runStage(of.training, stage, anAttempt(attempt), signal)
    }
    const anAttempt = (attempt: number): StepJob => ({
      attempt,
      updateProgress: async (figures) => void progress.push(figures),
      log: async (...said) => void jobLog.push(...said),
      async finish(done, shown) {
        await of.training.checkFence()
        Object.assign(of.record, shown.patch)
        if (shown.progress !== undefined) progress.push(shown.progress)
        jobLog.push(...shown.lines)
        steps.push(done)
      },
    })
    return { run, steps, lines, progress, jobLog, controller }
  }

  it('notes the result before it answers', async () => {
    const { run, steps, jobLog } = aRunner('upload-model', async () => ({ modelId: 'm1' }))

    expect(await run()).to.deep.equal({ modelId: 'm1' })

    expect(steps).to.have.lengthOf(1)
    expect(steps[0]).to.deep.include({ result: { modelId: 'm1' } })
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
    // The first check is that of the runner, the second that of the record.
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

    await run(2)
    expect(of.record.errors).to.deep.equal({ prepare: 'older trouble' })
  })

  it('throws what the stage threw even when the record cannot be written', async () => {
    const { run } = aRunner('train', async () => {
      of.supersede(new Error('Redis is away'))
      throw new LoopfleetError('LF_TEST', 'The program died.', { failure: 'program' })
    })

    const error = await rejection(run())

    expect(error.message).to.equal('The program died.')
  })

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

  it('takes an error away as soon as a further attempt makes progress', async () => {
    const done = aPromise()
    const { run } = aRunner('download-data', async (context) => {
      context.progress({ progress: 0.1 })
      await done.promise
      return {}
    })
    of.record.errors = { prepare: 'The Loop is away.' }

    const running = run(2)
    await until('it is gone', () => Object.keys(of.record.errors).length === 0)
    done.resolve()
    await running
  })

  describe('lends the place of a training', () => {
    function aPatience() {
      const waits: string[] = []
      const getsOn: string[] = []
      of.training.placeLending = {
        onWaiting: (stage) => void waits.push(stage),
        onProgress: (stage) => void getsOn.push(stage),
        end: () => undefined,
      }
      return { waits, getsOn }
    }
    const isAway = () => Promise.reject(new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' }))

    it('that waits for the Loop, until a step makes progress', async () => {
      const { waits, getsOn } = aPatience()

      await rejection(aRunner('upload-model', isAway).run())
      await aRunner('upload-model', async () => ({})).run(2)

      expect(waits).to.deep.equal(['upload-model'])
      expect(getsOn).to.include('upload-model')
    })

    it('whose stage says that it waits', async () => {
      const { waits } = aPatience()

      await aRunner('sync-metrics', async (context) => {
        context.noteWaiting()
        return {}
      }).run()

      expect(waits).to.deep.equal(['sync-metrics'])
    })

    it('not while it has slots', async () => {
      const { waits } = aPatience()
      of.training.lease = { slots: [0], cards: [{ key: 'GPU-0', index: 0 }], visible: ['0'], release: () => undefined }

      await rejection(aRunner('train', isAway).run())

      expect(waits).to.deep.equal([])
    })
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
