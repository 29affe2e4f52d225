import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { InferencePoolOptions } from '../../../src/inference/pool/pool.js'
import { modelJsonSchema } from '../../../src/loop/protocol/index.js'
import { openDetector } from '../../../src/workers/trainings/open-detector.js'
import { anOrder } from '../../queue/orders.js'
import { aDefinition, aTraining } from '../a-training.js'

describe('the detector of a training', () => {
  /** What the pool is asked for, with these thresholds in order, trainer file and model.json. */
  async function thresholdsOf(given: { order?: unknown; trainer?: number; model?: unknown }) {
    const hyperparameters = given.order === undefined ? {} : { conf_threshold: given.order }
    const { training } = aTraining({
      dataFolder: '/nowhere',
      definition: aDefinition({ detect: { backend: 'onnx', format: 'onnx', conf_threshold: given.trainer } }),
      order: { ...anOrder(), hyperparameters },
    })
    const shared = { id: 'm', organization: 'acme', project: 'demo', version: '1.0', categories: [] }
    const model = modelJsonSchema.parse({ ...shared, conf_threshold: given.model })
    const asked: InferencePoolOptions[] = []
    const createPool = async (options: InferencePoolOptions) => {
      asked.push(options)
      return { threadIds: [], close: async () => undefined }
    }
    const signal = new AbortController().signal
    await openDetector({ training, model, signal, log: silentLogger() }, { createPool, threads: 1 } as never)
    const [options] = asked
    return options?.backend.kind === 'onnx' ? options.backend.thresholds : undefined
  }

  it('has the threshold of the order before that of the trainer file, and both before that of model.json', async () => {
    expect(await thresholdsOf({ order: 0.7, trainer: 0.4, model: 0.5 })).to.deep.equal({ wanted: 0.7, ofModel: 0.5 })
    expect(await thresholdsOf({ trainer: 0.4, model: 0.5 })).to.deep.equal({ wanted: 0.4, ofModel: 0.5 })
    expect(await thresholdsOf({ model: 0.5 })).to.deep.equal({ wanted: undefined, ofModel: 0.5 })
    expect(await thresholdsOf({})).to.deep.equal({ wanted: undefined, ofModel: undefined })
  })
})
