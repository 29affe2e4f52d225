import { mkdir, writeFile } from 'node:fs/promises'
import { expect } from 'chai'
import { LoopfleetError } from '../../../src/base/errors.js'
import type { Stage } from '../../../src/workers/trainings/stages/stage.js'
import { workspacePaths } from '../../../src/workers/workspaces/workspace-paths.js'
import { until } from '../../helpers/until.js'
import { anOrder } from '../../queue/orders.js'
import { aPromise, aStep } from '../a-training.js'
import { untilEnded, useHosts } from './a-host.js'

const isAway = () => Promise.reject(new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' }))

/** Goes on until it is ended for the first time. */
function untilStopped(): Stage['run'] {
  let times = 0
  return (context, deps) => {
    times += 1
    return times === 1 ? untilEnded(context, deps) : Promise.resolve({})
  }
}

describe('the pipeline of trainings, asked for an end,', () => {
  const fleet = useHosts()
  const { aHost, begins, folder } = fleet

  describe('on an abort', () => {
    it('goes no further, cleans up, and says so', async () => {
      const host = await aHost({ stages: { 'upload-model': untilEnded } })
      const id = await fleet.of.order()
      await begins(host, 'upload-model')

      await fleet.of.trainings.request(id, 'abort', 'test')
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.deep.include({ outcome: 'aborted', errors: {} })
      expect(host.begun.slice(-2)).to.deep.equal(['upload-model', 'cleanup'])
    })

    it('that came while its host died ends it, so that no other host takes it up', async () => {
      const id = await fleet.of.order()
      await fleet.of.dies(id, async () => {
        expect(await fleet.of.trainings.request(id, 'abort', 'test')).to.equal('asked')
      })

      expect(await fleet.of.record(id)).to.include({ outcome: 'aborted' })
      const host = await aHost()
      const next = await fleet.of.order({ trainingNumber: 2 })
      await fleet.of.ended(next)

      expect(await fleet.of.record(next)).to.include({ outcome: 'completed' })
      expect(host.begun.filter((stage) => stage === 'cleanup')).to.have.lengthOf(1)
    })

    it('during the cleaning up lets it end, and keeps the outcome', async () => {
      const gate = aPromise()
      const host = await aHost({ stages: { cleanup: () => gate.promise.then(() => ({})) } })
      const id = await fleet.of.order()
      await begins(host, 'cleanup')

      await fleet.of.trainings.request(id, 'abort', 'test')
      await until('it is asked for', () => host.pipeline.active[0]?.stopSwitch.endSignal.aborted)
      gate.resolve()
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed' })
    })
  })

  describe('on a stop', () => {
    it('during the training goes on with the model that the stage keeps', async () => {
      const host = await aHost({
        stages: {
          train: (context, deps) => Promise.resolve(untilEnded(context, deps)).catch(() => ({ stopped: true })),
        },
      })
      const id = await fleet.of.order()
      await begins(host, 'train')

      await fleet.of.trainings.request(id, 'stop', 'test')
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed' })
      expect(host.begun.slice(-6)).to.deep.equal([
        ...['sync-metrics', 'convert', 'upload-model', 'detect', 'upload-detections', 'cleanup'],
      ])
    })

    it('before there is a model ends it as aborted', async () => {
      const host = await aHost({ stages: { 'download-data': untilEnded, train: untilEnded } })
      const id = await fleet.of.order()
      await begins(host, 'download-data')

      await fleet.of.trainings.request(id, 'stop', 'test')
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'aborted' })
      expect(host.begun.slice(-2), 'the training has said that there is none').to.deep.equal(['train', 'cleanup'])
    })

    it('while the data is downloaded uploads the model that the training finds, with the data that conversions may read', async () => {
      const host = await aHost({
        stages: {
          'download-data': untilStopped(),
          train: async ({ signal }) => ({ stopped: signal.aborted }),
        },
      })
      const id = await fleet.of.order()
      await begins(host, 'download-data')

      await fleet.of.trainings.request(id, 'stop', 'test')
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed' })
      const way = ['train', 'sync-metrics', 'download-data', 'convert', 'upload-model']
      expect(host.begun.filter((stage) => way.includes(stage)).slice(1)).to.deep.equal(way)
    })

    it('whose model cannot be read now tries again instead of throwing it away', async () => {
      let reads = 0
      const host = await aHost({
        stages: {
          'download-data': untilStopped(),
          train: async () => {
            reads += 1
            return reads < 3 ? await isAway() : { stopped: true }
          },
        },
      })
      const id = await fleet.of.order()
      await begins(host, 'download-model')

      await fleet.of.trainings.request(id, 'stop', 'test')
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.deep.include({ outcome: 'completed', errors: {} })
      expect(host.begun.filter((stage) => stage === 'train')).to.have.lengthOf(3)
    })

    it('after the training completes it without detections', async () => {
      const gate = aPromise()
      const host = await aHost({ stages: { 'sync-metrics': () => gate.promise.then(() => ({})) } })
      const id = await fleet.of.order()
      await begins(host, 'sync-metrics')

      await fleet.of.trainings.request(id, 'stop', 'test')
      await until('it has come', () => host.pipeline.active[0]?.stopSwitch.skipsDetection)
      gate.resolve()
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed' })
      expect(host.begun.slice(-3)).to.deep.equal(['convert', 'upload-model', 'cleanup'])
    })

    it('a second time, while it detects, ends the detection', async () => {
      const host = await aHost({
        stages: {
          train: (context, deps) => Promise.resolve(untilEnded(context, deps)).catch(() => ({ stopped: true })),
          detect: untilEnded,
        },
      })
      const id = await fleet.of.order()
      await begins(host, 'train')
      await fleet.of.trainings.request(id, 'stop', 'test')
      await begins(host, 'detect')

      await fleet.of.trainings.request(id, 'stop', 'test')
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed' })
      expect(host.begun.slice(-2)).to.deep.equal(['detect', 'cleanup'])
    })

    for (const [what, result, stagesLeft] of [
      ['before the training had ended', undefined, ['train', 'sync-metrics', 'convert', 'upload-model', 'detect']],
      ['and was obeyed by the training', { stopped: true }, ['sync-metrics', 'convert', 'upload-model', 'detect']],
      ['after the training', { stopped: false }, ['sync-metrics', 'convert', 'upload-model', 'cleanup']],
    ] as const) {
      it(`that came while no worker lived, ${what}, is obeyed by the next run`, async () => {
        const id = await fleet.of.order()
        const { imageData, models } = workspacePaths(folder.path, anOrder(), id)
        await mkdir(models, { recursive: true })
        await writeFile(imageData, '{}')
        await fleet.of.dies(id, async ({ update }) => {
          const before = { 'download-data': aStep(), 'download-model': aStep() }
          const steps = { ...before, ...(result && { train: aStep('host-a', result) }) }
          await update({ best: { epoch: 1 }, steps }, 'best')
          await fleet.of.trainings.request(id, 'stop', 'test')
        })

        const host = await aHost({ stages: { train: async ({ signal }) => ({ stopped: signal.aborted }) } })
        await fleet.of.ended(id)

        expect(await fleet.of.record(id)).to.include({ outcome: 'completed' })
        expect(host.begun.slice(0, stagesLeft.length)).to.deep.equal(stagesLeft)
      })
    }
  })
})
