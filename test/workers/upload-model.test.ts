import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { uploadModel } from '../../src/workers/trainings/stages/upload-model.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { aTraining } from './a-training.js'

const ID = '85ef1c0e-51d4-4b6b-8d0f-000000000009'

/** An ONNX model without any node. */
const SMALLEST = Buffer.from('08083a0042021011', 'hex')

describe('the upload of a model that the Loop has already', () => {
  const folder = useTemporaryFolder()

  /** The Loop names these ids, format by format. */
  async function upload(ids: Readonly<Record<string, string | null>>, record = {}) {
    const made = aTraining({ dataFolder: folder.path, record })
    const { model } = made.training.paths
    await mkdir(model, { recursive: true })
    for (const name of ['model.bin', 'model.onnx']) await writeFile(join(model, name), SMALLEST)
    const context = {
      training: made.training,
      signal: new AbortController().signal,
      log: silentLogger(),
      say: () => undefined,
      progress: () => undefined,
    }
    const models = { uploadTrained: async ({ format }: { format: string }) => ({ id: ids[format] ?? null }) }
    const run = () => uploadModel.run(context as never, { models } as never)
    return { run, made }
  }

  it('takes the id from the format for which the Loop names one', async () => {
    for (const ids of [
      { mocked: ID, onnx: null },
      { mocked: null, onnx: ID },
    ]) {
      const { run, made } = await upload(ids)

      expect(await run()).to.deep.equal({ modelId: ID, formats: ['mocked', 'onnx'] })
      expect(made.record.modelId).to.equal(ID)
    }
  })

  it('takes the id that an earlier attempt has noted', async () => {
    const { run } = await upload({ mocked: null, onnx: null }, { modelId: ID })

    expect(await run()).to.include({ modelId: ID })
  })

  it('ends for good with the reason when the Loop has never named an id, and does not upload again', async () => {
    const { run, made } = await upload({ mocked: null, onnx: null })

    const error = await rejection(run())

    expect(error).to.include({ code: 'LF_NO_MODEL', failure: 'fatal' })
    expect(String(error)).to.include('never named its id')
    expect(made.record.models).to.have.nested.property('onnx.state', 'confirmed')
  })
})
