import { expect } from 'chai'
import { RunSupersededError, WorkerShutdownError } from '../../../src/base/abort-reasons.js'
import type { CurvePoint } from '../../../src/queue/trainings/training-curve.js'
import { createReportWriter } from '../../../src/workers/trainings/report-writer.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { aPromise, aTraining } from '../a-training.js'

const aPoint = (epoch: number): CurvePoint => ({ epoch, values: { loss: 1 / (epoch + 1) } })

describe('what a program reports while Redis is unreachable', () => {
  const folder = useTemporaryFolder()

  /** A writer whose Redis answers from the moment in which the test says so. */
  function aWriter() {
    const back = aPromise()
    const of = aTraining({ dataFolder: folder.path })
    const batches: (readonly CurvePoint[])[] = []
    const training = {
      ...of.training,
      update: (patch: Parameters<typeof of.training.update>[0]) => back.promise.then(() => of.training.update(patch)),
      checkFence: () => back.promise.then(() => of.training.checkFence()),
      addPoints: async (points: readonly CurvePoint[]) => void batches.push(points),
    }
    return { of, writer: createReportWriter(training, { giveUpMs: 20 }), back: () => back.resolve(), batches }
  }

  it('is written when Redis is back: the newest best model alone, and all points in order', async () => {
    const { of, writer, back, batches } = aWriter()

    for (let epoch = 0; epoch < 1200; epoch += 1) {
      writer.point(aPoint(epoch))
      writer.best({ epoch, f1: undefined, classes: undefined })
    }
    back()
    await writer.flush()

    expect(of.updates.map(({ best }) => best?.epoch))
      .to.have.lengthOf.at.most(1)
      .and.include(1199)
    expect(of.record.facts).to.include({ bestHost: 'host-a' })
    expect(batches).to.have.lengthOf.at.most(4)
    expect(batches.flat().map(({ epoch }) => epoch)).to.deep.equal(Array.from({ length: 1200 }, (_, epoch) => epoch))
  })

  it('is dropped when another host has taken the training over, and the run ends', async () => {
    const { of, writer, back, batches } = aWriter()
    const superseded = new RunSupersededError({ trainingId: 'training1', run: 1 })
    of.supersede(superseded)

    writer.point(aPoint(1))
    writer.best({ epoch: 1, f1: undefined, classes: undefined })
    writer.point(aPoint(2))
    back()
    await writer.flush()

    expect(of.training.stopSwitch.endSignal.reason).to.equal(superseded)
    expect(batches).to.deep.equal([])
  })

  it('is not waited for when the run ends and Redis does not answer', async () => {
    const { of, writer, batches } = aWriter()

    writer.point(aPoint(1))
    of.training.stopSwitch.end(new WorkerShutdownError())
    await writer.flush()

    expect(batches).to.deep.equal([])
  })

  it('is written before a run that ends is handed back, if Redis answers', async () => {
    const { of, writer, back, batches } = aWriter()
    back()

    for (const epoch of [1, 2]) {
      writer.point(aPoint(epoch))
      writer.best({ epoch, f1: undefined, classes: undefined })
    }
    of.training.stopSwitch.end(new WorkerShutdownError())
    await writer.flush()

    expect(of.record.best?.epoch).to.equal(2)
    expect(batches.flat()).to.have.lengthOf(2)
  })

  it('is a curve of bounded length, of which every other point goes', async () => {
    const { writer, back, batches } = aWriter()

    for (let epoch = 0; epoch < 20_000; epoch += 1) writer.point(aPoint(epoch))
    back()
    await writer.flush()

    const points = batches.flat()
    expect(points).to.have.lengthOf.within(2000, 4000)
    expect(points.map(({ epoch }) => epoch)).to.deep.equal(points.map(({ epoch }) => epoch).sort((a, b) => a - b))
  })
})
