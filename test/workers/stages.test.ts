import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger.js'
import { imageStates } from '../../src/loop/protocol/index.js'
import { detect } from '../../src/workers/stages/detect.js'
import { downloadData } from '../../src/workers/stages/download-data.js'
import type { StageContext, StageDeps } from '../../src/workers/stages/stage.js'
import { uploadModel } from '../../src/workers/stages/upload-model.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { anOrder } from '../queue/orders.js'
import { aDefinition, aPromise, aTraining, type TrainingOfTest } from './a-training.js'

describe('the stages of a training', () => {
  const folder = useTemporaryFolder()

  function aContext(of: TrainingOfTest): StageContext {
    const { training } = of
    const signal = new AbortController().signal
    return { training, signal, log: silentLogger(), progress: () => undefined, say: () => undefined }
  }

  it('fail for an order that cannot be trained before they ask the Loop for anything', async () => {
    const definition = aDefinition({ models: [{ name: 'small' }] })
    const of = aTraining({ dataFolder: folder.path, definition, order: anOrder({ modelVariant: 'huge' }) })
    const asked: string[] = []
    const rest = { imageIds: async () => asked.push('ids') }

    const error = await rejection(downloadData(aContext(of), { rest } as unknown as StageDeps))

    expect(error.code).to.equal('LF_ORDER_NOT_POSSIBLE')
    expect(asked).to.deep.equal([])
  })

  describe('upload-model', () => {
    const formats = { mocked: ['model.bin'], onnx: ['model.onnx'] }

    async function anUpload(of: TrainingOfTest) {
      const { paths } = of.training
      await mkdir(paths.model, { recursive: true })
      for (const name of Object.values(formats).flat()) await writeFile(join(paths.model, name), name)
      const sent: string[] = []
      const models = {
        async uploadTrained({ format }: { format: string }) {
          sent.push(format)
          return { id: 'm1' }
        },
      }
      return { sent, run: () => uploadModel(aContext(of), { models } as unknown as StageDeps) }
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

      const error = await rejection(detect(aContext(of), deps as unknown as StageDeps))

      expect(error.message).to.equal('The Loop is away.')
      expect(asked).to.deep.equal([...imageStates])
      expect(isModelLeft).to.equal(true)
    })
  })
})
