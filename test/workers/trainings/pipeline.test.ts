import { expect } from 'chai'
import type { Stage } from '../../../src/queue/jobs/names.js'
import { type PipelineRun, runPipeline } from '../../../src/workers/trainings/pipeline.js'
import { rejection } from '../../helpers/rejection.js'

/** Notes what the pipeline asks for; a step may do something before it is over. */
function aPipeline(options: {
  converts?: boolean
  detects?: () => boolean
  during?: Partial<Record<Stage, () => unknown>>
}) {
  const seen: string[] = []
  const pipeline: PipelineRun = {
    converts: options.converts ?? true,
    detects: options.detects ?? (() => true),
    async step(stage) {
      seen.push(stage)
      await options.during?.[stage]?.()
    },
    async withLease(work) {
      seen.push('lease')
      await work()
      seen.push('back')
    },
  }
  return { pipeline, seen }
}

const TO_UPLOAD = ['download-data', 'download-model', 'lease', 'train', 'back', 'sync-metrics']

describe('the pipeline', () => {
  it('walks from the data to the detections, with the lease around the training alone', async () => {
    const { pipeline, seen } = aPipeline({})

    await runPipeline(pipeline)

    expect(seen).to.deep.equal([
      ...[...TO_UPLOAD, 'download-data', 'convert', 'upload-model', 'detect', 'upload-detections'],
    ])
  })

  it('leaves out what the trainer does not ask for', async () => {
    const { pipeline, seen } = aPipeline({ converts: false, detects: () => false })

    await runPipeline(pipeline)

    expect(seen).to.deep.equal([...TO_UPLOAD, 'upload-model'])
  })

  it('sends no detections when a stop comes while it detects', async () => {
    let stopped = false
    const { pipeline, seen } = aPipeline({
      detects: () => !stopped,
      during: {
        detect: () => {
          stopped = true
        },
      },
    })

    await runPipeline(pipeline)

    expect(seen.at(-1)).to.equal('detect')
  })

  it('fetches data and base model at the same time', async () => {
    let bothRun: () => void = () => undefined
    const both = new Promise<void>((resolve) => {
      bothRun = resolve
    })
    const { pipeline, seen } = aPipeline({ during: { 'download-data': () => both, 'download-model': bothRun } })

    await runPipeline(pipeline)

    expect(seen).to.include('train')
  })

  it('waits for the other download when one has failed, so that nothing runs on behind its back', async () => {
    let isOver = false
    const { pipeline, seen } = aPipeline({
      during: {
        'download-data': () => Promise.reject(new Error('no images')),
        'download-model': async () => {
          await new Promise((resolve) => setImmediate(resolve))
          isOver = true
        },
      },
    })

    const error = await rejection(runPipeline(pipeline))

    expect(error.message).to.equal('no images')
    expect(isOver).to.equal(true)
    expect(seen).not.to.include('lease')
  })

  for (const stage of ['train', 'sync-metrics', 'convert', 'upload-model', 'detect'] as const) {
    it(`goes no further than a ${stage} that failed`, async () => {
      const { pipeline, seen } = aPipeline({ during: { [stage]: () => Promise.reject(new Error('broken')) } })

      const error = await rejection(runPipeline(pipeline))

      expect(error.message).to.equal('broken')
      expect(seen.at(-1)).to.equal(stage)
    })
  }
})
