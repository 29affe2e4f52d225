import { expect } from 'chai'
import { TrainingAbortedError } from '../../../src/base/abort-reasons.js'
import { createLogger, type Logger, silentLogger } from '../../../src/base/logger/logger.js'
import { type MetricsJob, metricsJobSchema } from '../../../src/queue/jobs/job-schemas.js'
import type { Queues } from '../../../src/queue/jobs/queues.js'
import { createMetricsSync } from '../../../src/workers/trainings/metrics-sync.js'
import type { ModelSet, ModelSets } from '../../../src/workers/trainings/model-sets.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { seatA } from '../../queue/orders.js'
import { aPromise } from '../a-training.js'

function aSet(sequence: number, synced = false, files: ModelSet['files'] = { mocked: ['model.bin'] }): ModelSet {
  const confusionMatrix = { c1: { tp: sequence, fp: 0, fn: 0 } }
  return { sequence, epoch: sequence * 10, confusionMatrix, files, synced, folder: `/models/${sequence}` }
}

/** Sets in memory, a queue whose jobs the test lets end, and the sync between them. */
function aSync(
  options: {
    sets?: ModelSet[]
    acked?: string | undefined
    send?: (job: MetricsJob) => Promise<unknown>
    log?: Logger
  } = {},
) {
  let sets = options.sets ?? []
  const sent: { readonly queue: string; readonly id: string; readonly job: MetricsJob }[] = []
  const end = new AbortController()
  const modelSets: ModelSets = {
    add: () => Promise.reject(new Error('not part of this test')),
    async markSynced({ sequence }) {
      sets = sets.map((set) => (set.sequence === sequence ? { ...set, synced: true } : set))
    },
    list: async () => {
      reads += 1
      return sets
    },
    lastSynced: async () => sets.findLast(({ synced }) => synced),
    reload: () => undefined,
  }
  const queues: Pick<Queues, 'runJob'> = {
    async runJob(queue, _name, data, { id, signal }) {
      signal?.throwIfAborted()
      const job = metricsJobSchema.parse(data)
      sent.push({ queue, id, job })
      return options.send?.(job)
    },
  }
  const point = async () => {
    reads += 1
    return { trainImageCount: 5, testImageCount: 3, hyperparameters: { steps: 10 } }
  }
  const address = { trainingId: 't1', run: 2, seat: seatA, organization: 'zauberzeug', project: 'shapes' }
  let acked = options.acked
  let reads = 0
  const confirmed = {
    read: async () => {
      reads += 1
      return acked
    },
    write: async (digest: string) => {
      acked = digest
    },
  }
  const deps = { queues, modelSets, confirmed, signal: end.signal, log: options.log ?? silentLogger() }
  const sync = createMetricsSync({ ...address, point }, deps)
  return {
    acked: () => acked,
    reads: () => reads,
    sync,
    sent,
    end,
    all: () => sets,
    signal: new AbortController().signal,
  }
}

describe('the sync of metrics', () => {
  it('sends a point through the queue of the seat that has the socket', async () => {
    const { sync, sent, all, signal } = aSync({ sets: [aSet(1)] })

    sync.push(aSet(1))
    await sync.flush(signal)

    expect(sent).to.deep.equal([
      {
        queue: 'node.seat-a',
        id: 't1.2.metrics.1',
        job: {
          trainingId: 't1',
          run: 2,
          seat: seatA,
          organization: 'zauberzeug',
          project: 'shapes',
          sequence: 1,
          point: {
            confusionMatrix: { c1: { tp: 1, fp: 0, fn: 0 } },
            epoch: 10,
            trainImageCount: 5,
            testImageCount: 3,
            hyperparameters: { steps: 10 },
          },
        },
      },
    ])
    expect(all().map(({ synced }) => synced)).to.deep.equal([true])
  })

  it('logs each cause for which points wait once', async () => {
    let [text, tries] = ['', 0]
    const log = createLogger({ destination: { write: (line: string) => (text += line) } })
    const send = async () => {
      tries += 1
      throw new Error('The seat has no socket.')
    }
    const { sync } = aSync({ sets: [aSet(1)], send, log })

    for (const turn of [1, 2, 3]) {
      sync.push(aSet(1))
      await until('it has failed again', () => tries === turn && text !== '')
    }

    expect(text.split('metrics not synced yet')).to.have.lengthOf(2)
  })

  it('does not send again what the journal knows as acked last, as when another host has restored the models', async () => {
    const first = aSync({ sets: [aSet(1), aSet(2)] })
    await first.sync.flush(first.signal)

    const other = aSync({ sets: [aSet(1), aSet(2), aSet(3)], acked: first.acked() })
    await other.sync.flush(other.signal)
    const again = aSync({ sets: [aSet(1)], acked: first.acked() })
    await again.sync.flush(again.signal)

    expect(other.sent.map(({ job }) => job.sequence)).to.deep.equal([3])
    expect(other.all().map(({ synced }) => synced)).to.deep.equal([true, true, true])
    expect(again.sent.map(({ job }) => job.sequence)).to.deep.equal([1])
  })

  it('sends one point after the other, never two at the same time', async () => {
    const gates = [aPromise(), aPromise()]
    const { sync, sent, signal } = aSync({
      sets: [aSet(1), aSet(2)],
      send: ({ sequence }) => gates[sequence - 1]?.promise ?? Promise.resolve(),
    })

    sync.push(aSet(1))
    sync.push(aSet(2))
    await until('the first is sent', () => sent.length === 1)
    gates[0]?.resolve()
    await until('the second is sent', () => sent.length === 2)
    gates[1]?.resolve()
    await sync.flush(signal)

    expect(sent.map(({ job }) => job.sequence)).to.deep.equal([1, 2])
  })

  it('sends on flush what a crash or a failure has left, and only that', async () => {
    const { sync, sent, all, signal } = aSync({ sets: [aSet(4, true), aSet(5), aSet(6)] })

    const { points } = await sync.flush(signal)

    expect(sent.map(({ job }) => job.sequence)).to.deep.equal([5, 6])
    expect(points).to.equal(6)
    expect(all().every(({ synced }) => synced)).to.equal(true)
  })

  it('sends what a kill has left before what comes next', async () => {
    const { sync, sent, signal } = aSync({ sets: [aSet(4, true), aSet(5), aSet(6), aSet(7)] })

    sync.push(aSet(7))
    await sync.flush(signal)

    expect(sent.map(({ job }) => job.sequence)).to.deep.equal([5, 6, 7])
  })

  it('sends what has gathered in an outage in one turn, so that the work for a point does not grow with them', async () => {
    const gate = aPromise()
    const sets = Array.from({ length: 500 }, (_, index) => aSet(index + 1, false, index < 499 ? {} : undefined))
    const { sync, sent, reads, signal } = aSync({ sets, send: () => gate.promise })

    for (const set of sets) sync.push({ ...set, files: { mocked: ['model.bin'] } })
    gate.resolve()
    await sync.flush(signal)

    expect(sent.map(({ job }) => job.sequence)).to.deep.equal(sets.map(({ sequence }) => sequence))
    expect(reads(), 'times that sets, journal and acked point were read').to.be.at.most(6)
  })

  it('keeps a failed point for the flush, which tells when it fails again', async () => {
    let isAway = true
    const { sync, sent, all, signal } = aSync({
      sets: [aSet(1)],
      send: async () => {
        if (isAway) throw new Error('the Loop refused')
      },
    })
    sync.push(aSet(1))
    expect((await rejection(sync.flush(signal))).message).to.equal('the Loop refused')
    expect(all()[0]?.synced).to.equal(false)

    isAway = false
    await sync.flush(signal)

    expect(all()[0]?.synced).to.equal(true)
    expect(sent).to.have.lengthOf(3)
  })

  it('sends the figures of a model whose files are gone before those of the next one that has its files', async () => {
    const sets = [aSet(1), aSet(2, false, {}), aSet(3, false, {}), aSet(4)]
    const { sync, sent, all, signal } = aSync({ sets })

    for (const set of sets) sync.push(set)
    const { points, keptBack } = await sync.flush(signal)

    expect(sent.map(({ job }) => job.sequence)).to.deep.equal([1, 2, 3, 4])
    expect({ points, keptBack }).to.deep.equal({ points: 4, keptBack: 0 })
    expect(all().every(({ synced }) => synced)).to.equal(true)
  })

  it('keeps figures without files back when no model follows, since the upload would get them', async () => {
    const sets = [aSet(1), aSet(2, false, {}), aSet(3, false, {})]
    const { sync, sent, all, signal } = aSync({ sets })

    for (const set of sets) sync.push(set)
    const { points, keptBack } = await sync.flush(signal)

    expect(sent.map(({ job }) => job.sequence)).to.deep.equal([1])
    expect({ points, keptBack }).to.deep.equal({ points: 1, keptBack: 2 })
    expect(all().map(({ synced }) => synced)).to.deep.equal([true, false, false])
  })

  it('sends one empty point when there never was a model, so that a model can be uploaded at all', async () => {
    const { sync, sent, signal } = aSync()

    await sync.flush(signal)

    expect(sent.map(({ job }) => job.point)).to.deep.equal([
      { confusionMatrix: {}, epoch: null, trainImageCount: 5, testImageCount: 3, hyperparameters: { steps: 10 } },
    ])
  })

  it('ends with the reason when the training ends while it waits', async () => {
    const { sync, sent, signal, end } = aSync({ sets: [aSet(1)] })
    end.abort(new TrainingAbortedError())
    sync.push(aSet(1))

    const error = await rejection(sync.flush(AbortSignal.any([signal, end.signal])))

    expect(error).to.be.instanceOf(TrainingAbortedError)
    expect(sent).to.deep.equal([])
  })
})
