import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect } from 'chai'
import { TrainingAbortedError, TrainingStoppedError, WorkerShutdownError } from '../../../src/base/abort-reasons.js'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import type { Stage as StageName } from '../../../src/queue/jobs/names.js'
import { allStages } from '../../../src/workers/trainings/pipeline.js'
import { createPipelineRun } from '../../../src/workers/trainings/pipeline-run.js'
import type { Stage } from '../../../src/workers/trainings/stages/stage.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { anOrder } from '../../queue/orders.js'
import { aDefinition, aPromise, aStep, aTraining } from '../a-training.js'

/** Runs steps that end when and how the test says; immediately by default. */
function someSteps(outcome: (stage: string, signal: AbortSignal) => Promise<unknown> = async () => undefined) {
  const begun: string[] = []
  const runStep = ({ name }: Stage, signal: AbortSignal) => {
    begun.push(name)
    return outcome(name, signal)
  }
  return { begun, deps: (slots = cpu()) => ({ stages: allStages, slots, runStep }) }
}

/** Work that goes on until it is ended. */
const endedBy = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new Error('socket hang up'))))
const cpu = () => createSlots({ gpus: null })

describe('the pipeline run of a training', () => {
  const folder = useTemporaryFolder()

  async function put(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '{}')
  }

  it('shows the state of a step while it runs, with a fresh progress', async () => {
    const { training, updates } = aTraining({ dataFolder: folder.path })
    const pipeline = createPipelineRun(training, someSteps().deps())

    await pipeline.step('download-data')
    await pipeline.step('download-model')
    await pipeline.withLease(() => pipeline.step('train'))
    for (const stage of ['sync-metrics', 'convert', 'upload-model', 'detect', 'upload-detections'] as const) {
      await pipeline.step(stage)
    }
    await pipeline.cleanUp()

    expect(updates.map(({ state }) => state)).to.deep.equal([
      'data_downloading',
      'train_model_downloaded',
      'running',
      'confusion_matrix_syncing',
      'train_model_uploading',
      'detecting',
      'detection_uploading',
      'ready_for_cleanup',
    ])
    for (const { progress } of updates) expect(progress).to.equal(null)
  })

  it('shows the download of the base model when it takes longer than that of the data', async () => {
    const order = anOrder({ baseModel: { kind: 'loop', id: 'm' } })
    const { training, updates } = aTraining({ dataFolder: folder.path, order })
    const model = aPromise()
    const { deps } = someSteps((stage) => (stage === 'download-model' ? model.promise : Promise.resolve()))
    const pipeline = createPipelineRun(training, deps())

    const downloads = [pipeline.step('download-data'), pipeline.step('download-model')]
    await downloads[0]
    model.resolve()
    await downloads[1]

    expect(updates.map(({ state }) => state)).to.deep.equal(['data_downloading', 'train_model_downloading'])
  })

  describe('passes over', () => {
    it('a step of this host whose result is on its disk', async () => {
      const steps = { 'download-data': aStep() }
      const { training, updates } = aTraining({ dataFolder: folder.path, record: { steps } })
      await put(training.paths.imageData)
      const { deps, begun } = someSteps()

      await createPipelineRun(training, deps()).step('download-data')

      expect(begun).to.deep.equal([])
      expect(updates).to.deep.equal([])
    })

    it('not a step whose result is gone from the disk, nor one of another host', async () => {
      const steps = { 'download-data': aStep(), train: aStep('host-b') }
      const { training } = aTraining({ dataFolder: folder.path, record: { steps } })
      await mkdir(training.paths.models, { recursive: true })
      const { deps, begun } = someSteps()
      const pipeline = createPipelineRun(training, deps())

      await pipeline.step('download-data')
      await pipeline.step('train')

      expect(begun).to.deep.equal(['download-data', 'train'])
    })

    it('not a base model that is gone from the disk', async () => {
      const order = anOrder({ baseModel: { kind: 'loop', id: 'm' } })
      const steps = { 'download-model': aStep() }
      const { training } = aTraining({ dataFolder: folder.path, record: { steps }, order })
      const { deps, begun } = someSteps()

      await createPipelineRun(training, deps()).step('download-model')

      expect(begun).to.deep.equal(['download-model'])
    })

    it('all up to the upload when another host has brought the model to the Loop', async () => {
      const steps = { 'upload-model': aStep('host-b') }
      const { training } = aTraining({ dataFolder: folder.path, record: { steps } })
      const { deps, begun } = someSteps()
      const pipeline = createPipelineRun(training, deps())
      const all: StageName[] = ['download-data', 'download-model', 'train', 'sync-metrics', 'convert', 'upload-model']

      for (const stage of [...all, 'detect' as const]) await pipeline.step(stage)

      expect(begun).to.deep.equal(['detect'])
    })

    it('the wait for a slot when the training is done', async () => {
      const steps = { 'upload-model': aStep('host-b') }
      const { training } = aTraining({ dataFolder: folder.path, record: { steps } })
      const slots = cpu()
      await slots.acquire('auto', { signal: new AbortController().signal }) // nobody gives it back

      await createPipelineRun(training, someSteps().deps(slots)).withLease(async () => undefined)
    })
  })

  it('holds the lease while it trains, and gives it back also when that fails', async () => {
    const { training } = aTraining({ dataFolder: folder.path, definition: aDefinition({ gpus: 2 }) })
    const slots = createSlots({ gpus: [0, 1, 2] })
    const pipeline = createPipelineRun(training, someSteps().deps(slots))
    let held: readonly number[] | undefined

    const error = await rejection(
      pipeline.withLease(async () => {
        held = training.lease?.slots
        throw new Error('broken')
      }),
    )

    expect(error.message).to.equal('broken')
    expect(held).to.deep.equal([0, 1])
    expect(training.lease).to.equal(undefined)
    expect(slots.free().gpus).to.deep.equal([0, 1, 2])
  })

  it('knows whether a stop comes before, while or after training', async () => {
    const { training } = aTraining({ dataFolder: folder.path })
    const phases: string[] = []
    const { deps } = someSteps(async (stage) => phases.push(`${stage} ${training.stopSwitch.phase}`))
    const pipeline = createPipelineRun(training, deps())

    await pipeline.step('download-data')
    await pipeline.step('train')
    await pipeline.step('upload-model')

    expect(phases).to.deep.equal(['download-data before', 'train training', 'upload-model after'])
  })

  it('ends a step when the training is aborted, and ends with the reason', async () => {
    const { training } = aTraining({ dataFolder: folder.path })
    const { deps } = someSteps((_stage, signal) => endedBy(signal))
    const step = createPipelineRun(training, deps()).step('upload-model')
    await until('the state is shown', () => training.record().then(({ state }) => state === 'train_model_uploading'))

    training.stopSwitch.abort()

    expect(await rejection(step)).to.be.instanceOf(TrainingAbortedError)
  })

  it('starts no step after an abort', async () => {
    const { training } = aTraining({ dataFolder: folder.path })
    const { deps, begun } = someSteps()
    training.stopSwitch.end(new WorkerShutdownError())

    const error = await rejection(createPipelineRun(training, deps()).step('upload-model'))

    expect(error).to.be.instanceOf(WorkerShutdownError)
    expect(begun).to.deep.equal([])
  })

  it('ends the other download when one has failed', async () => {
    const { training } = aTraining({ dataFolder: folder.path })
    const { deps } = someSteps((stage, signal) =>
      stage === 'download-data' ? Promise.reject(new Error('no images')) : endedBy(signal),
    )
    const pipeline = createPipelineRun(training, deps())
    const model = pipeline.step('download-model')

    const data = await rejection(pipeline.step('download-data'))

    expect(data.message).to.equal('no images')
    expect((await rejection(model)).message).to.equal('no images')
    expect(training.stopSwitch.endSignal.reason).to.equal(data)
  })

  describe('with a stop', () => {
    it('lets the training decide what is kept, also before it has begun', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const { deps, begun } = someSteps()
      training.stopSwitch.stop()

      await createPipelineRun(training, deps()).step('train')

      expect(begun).to.deep.equal(['train'])
    })

    it('lets the training decide also when it waits for a slot', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const slots = cpu()
      await slots.acquire('auto', { signal: new AbortController().signal })
      let isDecided = false
      const pipeline = createPipelineRun(training, someSteps().deps(slots)).withLease(async () => {
        isDecided = true
      })
      await until('it waits', () => training.record().then(({ state }) => state === 'train_model_downloaded'))

      training.stopSwitch.stop()
      await pipeline

      expect(isDecided).to.equal(true)
    })

    it('passes over the downloads, so that the training says whether an earlier run has left a model', async () => {
      const { training, updates } = aTraining({ dataFolder: folder.path })
      const { deps, begun } = someSteps((stage, signal) =>
        stage === 'train' ? Promise.resolve({ stopped: true }) : endedBy(signal),
      )
      const pipeline = createPipelineRun(training, deps())
      const data = pipeline.step('download-data')
      await until('it downloads', () => begun.length === 1)

      training.stopSwitch.stop()
      await data
      await pipeline.step('download-model')
      await pipeline.withLease(() => pipeline.step('train'))

      expect(begun).to.deep.equal(['download-data', 'train'])
      expect(updates.map(({ state }) => state)).to.deep.equal(['data_downloading'])
    })

    it('fetches the data after the training that it has kept from being fetched before, for conversions', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const { deps, begun } = someSteps()
      training.stopSwitch.stop()
      const pipeline = createPipelineRun(training, deps())

      await pipeline.step('download-data')
      await pipeline.step('train')
      await pipeline.step('download-data')
      await pipeline.step('download-data')

      expect(begun).to.deep.equal(['train', 'download-data'])
    })

    it('is a failure when what is kept cannot be read, so that nothing is deleted', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const { deps } = someSteps(() => Promise.reject(new Error('The folder is not mounted.')))
      training.stopSwitch.stop()

      const error = await rejection(createPipelineRun(training, deps()).step('train'))

      expect(error.message).to.equal('The folder is not mounted.')
    })

    it('is an end when there is nothing to keep', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const { deps } = someSteps(() => Promise.reject(new TrainingStoppedError()))
      training.stopSwitch.stop()

      const error = await rejection(createPipelineRun(training, deps()).step('train'))

      expect(error).to.be.instanceOf(TrainingStoppedError)
    })

    it('ends a detection that has begun, and the training goes on as done', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const running = aPromise()
      const { deps, begun } = someSteps(() => running.promise)
      const pipeline = createPipelineRun(training, deps())
      training.stopSwitch.phase = 'after'
      const step = pipeline.step('detect')
      await until('it is added', () => begun.length === 1)

      training.stopSwitch.stop()
      running.reject(new TrainingStoppedError())
      await step

      expect(pipeline.detects()).to.equal(false)
      expect((await training.record()).state).to.equal('detected')
    })

    it('is overruled by an abort that comes while the detection ends', async () => {
      const { training } = aTraining({ dataFolder: folder.path })
      const running = aPromise()
      const { deps, begun } = someSteps(() => running.promise)
      training.stopSwitch.phase = 'after'
      const step = createPipelineRun(training, deps()).step('detect')
      await until('it is added', () => begun.length === 1)

      training.stopSwitch.stop()
      training.stopSwitch.abort()
      running.reject(new Error('whatever the job says'))

      expect(await rejection(step)).to.be.instanceOf(TrainingAbortedError)
    })
  })

  it('detects only when the trainer says how', () => {
    const { training } = aTraining({
      dataFolder: folder.path,
      definition: aDefinition({ detect: undefined, convert: [] }),
    })
    const pipeline = createPipelineRun(training, someSteps().deps())

    expect(pipeline.detects()).to.equal(false)
    expect(pipeline.converts).to.equal(false)
  })

  it('does not fail a training because cleaning up fails', async () => {
    const { training } = aTraining({ dataFolder: folder.path })
    const { deps } = someSteps(() => Promise.reject(new Error('disk is read-only')))

    await createPipelineRun(training, deps()).cleanUp()
  })
})
