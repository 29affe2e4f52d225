import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { TrainingStoppedError } from '../../src/base/abort-reasons.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { imageStates } from '../../src/loop/protocol/index.js'
import { cleanup } from '../../src/workers/trainings/stages/cleanup.js'
import { detect } from '../../src/workers/trainings/stages/detect.js'
import { downloadData } from '../../src/workers/trainings/stages/download-data.js'
import type { StageContext, StageDeps } from '../../src/workers/trainings/stages/stage.js'
import { syncMetrics } from '../../src/workers/trainings/stages/sync-metrics.js'
import { train } from '../../src/workers/trainings/stages/train.js'
import { uploadModel } from '../../src/workers/trainings/stages/upload-model.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { makeUndeletable } from '../helpers/undeletable.js'
import { anOrder } from '../queue/orders.js'
import { aDefinition, aPromise, aTraining, type TrainingOfTest } from './a-training.js'

/** The smallest content that a file of this name can have. */
function smallest(name: string): Buffer {
  return name.endsWith('.onnx') ? Buffer.from('08083a0042021011', 'hex') : Buffer.from(name)
}

describe('the stages of a training', () => {
  const folder = useTemporaryFolder()

  function aContext(of: TrainingOfTest): StageContext {
    const { training } = of
    const signal = new AbortController().signal
    const ignore = () => undefined
    const audience = { show: ignore, warn: ignore, offPatterns: new Set<string>() }
    return {
      training,
      signal,
      log: silentLogger(),
      progress: ignore,
      say: ignore,
      warn: ignore,
      noteWaiting: ignore,
      audience,
    }
  }

  it('fail for an order that cannot be trained before they ask the Loop for anything', async () => {
    const definition = aDefinition({ models: [{ name: 'small' }] })
    const of = aTraining({ dataFolder: folder.path, definition, order: anOrder({ modelVariant: 'huge' }) })
    const asked: string[] = []
    const rest = { imageIds: async () => asked.push('ids') }

    const error = await rejection(downloadData.run(aContext(of), { rest } as unknown as StageDeps))

    expect(error.code).to.equal('LF_ORDER_NOT_POSSIBLE')
    expect(asked).to.deep.equal([])
  })

  for (const [facts, where] of [
    [{ bestHost: 'host-b' }, 'host-b'],
    [{}, 'host-c'], // of a build that did not note it
  ] as const)
    it(`name the host whose disk has the model of a training that was stopped while it changed hosts: ${where}`, async () => {
      const best = { epoch: 3, f1: 0.5 }
      const of = aTraining({ dataFolder: folder.path, record: { best, facts, hostId: 'host-c' } })
      const stopped = AbortSignal.abort(new TrainingStoppedError())

      const error = await rejection(train.run({ ...aContext(of), signal: stopped }, {} as StageDeps))

      expect(error).to.include({ code: 'LF_NO_MODEL', failure: 'fatal' })
      const wayOut = `retry the training while no host but ${where} takes trainings, or order it again.`
      expect(error.message).to.equal(`The files of the best model of epoch 3 lie on ${where} alone; ${wayOut}`)
    })

  it('throw a training away that was stopped before it had a model', async () => {
    const of = aTraining({ dataFolder: folder.path })
    const reason = new TrainingStoppedError()

    expect(
      await rejection(train.run({ ...aContext(of), signal: AbortSignal.abort(reason) }, {} as StageDeps)),
    ).to.equal(reason)
  })

  for (const [epoch, which] of [
    [3, 'that of epoch 3'],
    [null, 'the newest, of unknown epoch,'],
  ] as const) {
    it(`say which model is to be uploaded, also when its epoch is ${epoch}`, async () => {
      const of = aTraining({ dataFolder: folder.path })
      const modelSets = { lastSynced: async () => ({ sequence: 1, epoch, files: {}, synced: true }) }
      const training = { ...of.training, modelSets, metricsSync: { flush: async () => ({ points: 2 }) } }
      const said: string[] = []
      const context = { ...aContext(of), training, say: (line: string) => void said.push(line) }

      await syncMetrics.run(context as unknown as StageContext, {} as StageDeps)

      expect(said).to.deep.equal([`metrics of 2 models at the Loop; ${which} is the one to upload`])
    })
  }

  describe('upload-model', () => {
    const formats = { mocked: ['model.bin'], onnx: ['model.onnx'] }

    async function anUpload(of: TrainingOfTest) {
      const { paths } = of.training
      await mkdir(paths.model, { recursive: true })
      for (const name of Object.values(formats).flat()) await writeFile(join(paths.model, name), smallest(name))
      const sent: string[] = []
      const models = {
        async uploadTrained({ format }: { format: string }) {
          sent.push(format)
          return { id: 'm1' }
        },
      }
      return { sent, run: () => uploadModel.run(aContext(of), { models } as unknown as StageDeps) }
    }

    it('notes the answer of the Loop and the id of the model in one moment', async () => {
      const of = aTraining({ dataFolder: folder.path, definition: aDefinition({ upload: formats }) })
      const { run, sent } = await anUpload(of)

      expect(await run()).to.deep.equal({ modelId: 'm1', formats: ['mocked', 'onnx'] })

      expect(sent).to.deep.equal(['mocked', 'onnx'])
      expect(of.updates.map(({ models, modelId }) => [Object.values(models ?? {})[0]?.state, modelId])).to.deep.equal([
        ['intent', undefined],
        ['confirmed', 'm1'],
        ['intent', undefined],
        ['confirmed', 'm1'],
      ])
    })

    it('sends nothing again that was confirmed, and notes an id that was not noted', async () => {
      const definition = aDefinition({ upload: { mocked: formats.mocked } })
      const of = aTraining({ dataFolder: folder.path, definition })
      const { run, sent } = await anUpload(of)
      await run()
      of.record.modelId = null

      expect(await run()).to.deep.include({ modelId: 'm1' })

      expect(sent).to.deep.equal(['mocked'])
      expect(of.record.modelId).to.equal('m1')
    })
  })

  describe('upload-model of a wrong list', () => {
    it('fails for good with the names that there are, and uploads after the list was corrected', async () => {
      const of = aTraining({ dataFolder: folder.path, definition: aDefinition({ upload: { mocked: ['model.pt'] } }) })
      const { paths } = of.training
      await mkdir(paths.model, { recursive: true })
      await writeFile(join(paths.model, 'model.pth'), 'weights')
      const sent: string[] = []
      const models = {
        async uploadTrained({ files }: { files: readonly string[] }) {
          sent.push(...files)
          return { id: 'm1' }
        },
      }
      const deps = { models } as unknown as StageDeps

      const error = await rejection(uploadModel.run(aContext(of), deps))

      expect(error).to.include({ code: 'LF_NO_MODEL', failure: 'fatal' })
      expect(error.message).to.contain('"upload.mocked" names "model.pt"').and.contain('only "model.pth"')
      const definition = aDefinition({ upload: { mocked: ['model.pth'] } })
      const corrected = aTraining({ dataFolder: folder.path, definition })
      expect(await uploadModel.run(aContext(corrected), deps)).to.deep.include({ modelId: 'm1' })
      expect(sent).to.deep.equal([join(paths.model, 'model.pth')])
    })
  })

  describe('cleanup', () => {
    for (const phase of ['after', 'before'] as const) {
      it(`ends well when a file cannot be deleted, and names it in a warning (${phase} the training)`, async () => {
        const definition = aDefinition({ cleanup: undefined })
        const of = aTraining({ dataFolder: folder.path, definition })
        const { workspace } = of.training.paths
        of.training.stopSwitch.phase = phase
        await mkdir(join(workspace, 'runs'), { recursive: true })
        await mkdir(join(workspace, 'dataset'))
        await writeFile(join(workspace, 'dataset/image.jpg'), 'pixels')
        const stuck = await makeUndeletable(join(workspace, 'runs'))
        const said: string[] = []
        const context = { ...aContext(of), say: (line: string) => void said.push(line) }

        try {
          expect(await cleanup.run(context, {} as StageDeps)).to.deep.include({ left: 1 })

          expect(await readdir(workspace)).to.deep.equal(['runs'])
          expect(said.join()).to.match(/left to the workspace keeper: runs\/ddd\S+ \(ENAMETOOLONG\)/)
        } finally {
          await stuck.release()
        }
      })
    }
  })

  describe('detect', () => {
    it('asks for the images of every state, and waits for the model before it fails', async () => {
      const of = aTraining({ dataFolder: folder.path, record: { modelId: 'm1' } })
      const asked: string[] = []
      const begun = aPromise()
      let isModelLeft = false
      const deps = {
        rest: {
          async imageIds(_organization: string, _project: string, state: string) {
            asked.push(state)
            await begun.promise
            if (state === 'review') throw new Error('The Loop is away.')
            return []
          },
        },
        models: {
          download: ({ signal }: { signal: AbortSignal }) =>
            new Promise((_, reject) => {
              begun.resolve()
              signal.addEventListener('abort', () => {
                isModelLeft = true
                reject(new Error('canceled'))
              })
            }),
        },
      }

      const error = await rejection(detect.run(aContext(of), deps as unknown as StageDeps))

      expect(error.message).to.equal('The Loop is away.')
      expect(asked).to.deep.equal([...imageStates])
      expect(isModelLeft).to.equal(true)
    })
  })
})
