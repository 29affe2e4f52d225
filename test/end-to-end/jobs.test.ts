import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { z } from 'zod'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { stepProgressSchema } from '../../src/queue/jobs/job-schemas.js'
import { queueNames, type Stage, stages, workKinds } from '../../src/queue/jobs/names.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { allStages } from '../../src/workers/trainings/pipeline.js'
import { MAIN } from '../helpers/cli-process.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const EPOCHS = 3

describe('after a training Redis holds', function () {
  this.timeout(60_000)
  let fleet: Fleet
  let training: TrainingRecord
  let hostId: string
  before(async () => {
    fleet = await startFleet()
    await fleet.order({ hyperparameters: { epochs: EPOCHS, epoch_seconds: 0.6 } })
    await fleet.until({ ended: true })
    training = await fleet.record()
    hostId = training.hostId ?? ''
  })
  after(async () => fleet?.close())

  const queueOf = (stage: Stage) => queueNames.host(hostId, allStages[stage].kind)
  const logOf = async (stage: Stage) => await fleet.queues.logs(queueOf(stage), (await fleet.step(stage))?.id ?? '')

  it('one job per stage and no other, each on the queue of its kind of work', async () => {
    const found: Record<string, string[]> = {}
    for (const kind of workKinds) {
      const queue = queueNames.host(hostId, kind)
      const jobs = await fleet.queues.jobs(queue, ['waiting', 'active', 'delayed', 'completed', 'failed'])
      found[kind] = jobs.map(({ name, state }) => `${name} ${state}`).sort()
    }

    expect(found).to.deep.equal({
      download: ['download-data completed', 'download-model completed'],
      train: ['train completed'],
      convert: ['convert completed'],
      upload: ['cleanup completed', 'sync-metrics completed', 'upload-detections completed', 'upload-model completed'],
      detect: ['detect completed'],
    })
  })

  for (const stage of stages) {
    it(`${stage} with its attempts, progress, times, result and log`, async () => {
      const job = await fleet.step(stage)
      const log = await logOf(stage)

      expect(job).to.include({ name: stage, state: 'completed', attemptsStarted: 1, attemptsMade: 1, failure: null })
      expect(Object.values(job?.data ?? {})).to.deep.equal([training.id, 1, stage])
      expect(stepProgressSchema.parse(job?.progress).progress).to.equal(1)
      expect(job?.endedAt).to.be.at.least(job?.startedAt ?? Number.POSITIVE_INFINITY)
      expect(training.steps[stage]?.result).to.be.an('object')
      expect(log[0]).to.equal(`${stage} started on ${hostId}, run 1, attempt 1`)
      expect(log.at(-1)).to.match(new RegExp(`^${stage} done in \\d+\\.\\d\\d s$`))
    })
  }

  it('with the train job the epoch and the figures of the process tree; a host without GPUs has none', async () => {
    const job = await fleet.step('train')

    const progress = stepProgressSchema.parse(job?.progress)
    expect(progress).to.include({ epoch: EPOCHS, epochs: EPOCHS, gpus: null })
    expect(progress.process?.memoryBytes).to.be.above(1_000_000)
    expect(progress.process?.cpuPercent).to.be.at.least(0)
  })

  it('what each stage did, in words', async () => {
    const said = await Promise.all(stages.map(async (stage) => [stage, (await logOf(stage)).join('\n')] as const))
    const log = Object.fromEntries(said)

    expect(log['download-data']).to.include('6 train and 2 test images, 0 skipped')
    expect(log['download-model']).to.include('from scratch')
    expect(log.train).to.include('new best model of epoch 3')
    expect(log.convert).to.include('converted to mocked_converted')
    expect(log['upload-model']).to.include(`uploaded mocked as model ${training.modelId}`)
    expect(log['upload-detections']).to.include('detections of 10 images uploaded')
  })

  it('the training itself as completed by one run, and nothing that is left to do', async () => {
    expect(training).to.include({ outcome: 'completed', run: 1 })
    await until('nothing is left to do', async () => {
      const counts = await Promise.all((await fleet.queues.names()).map(fleet.queues.counts))
      return counts.every(({ waiting, active, delayed }) => waiting === 0 && active === 0 && delayed === 0)
    })
  })

  it('a point of metrics per epoch on the queue of the seat, acked by the Loop', async () => {
    const queue = queueNames.node(training.seat.uuid)
    const jobs = await fleet.queues.jobs(queue, ['completed', 'failed', 'waiting', 'delayed', 'active'])

    const ids = Array.from({ length: EPOCHS }, (_, index) => `${training.id}.1.metrics.${index + 1}`)
    expect(jobs.map(({ id }) => id).sort()).to.deep.equal(ids)
    for (const job of jobs) {
      expect(job).to.deep.include({ name: 'sync-metrics', state: 'completed', result: { acked: true } })
      expect((await fleet.queues.logs(queue, job.id)).join()).to.include('acked by the Loop')
    }
  })

  it('every queue in the list of queues', async () => {
    const kinds = workKinds.map((kind) => queueNames.host(hostId, kind))

    const names = await fleet.queues.names()

    expect(names).to.include.members([...kinds, queueNames.node(training.seat.uuid)])
  })

  it('no path, image or password in any job', async () => {
    for (const queue of await fleet.queues.names()) {
      for (const { data, result } of await fleet.queues.jobs(queue, ['completed'])) {
        const text = JSON.stringify([data, result])
        expect(text.length).to.be.below(2000)
        expect(text).not.to.include(fleet.folder)
      }
    }
  })

  describe('and the command line', () => {
    const lastJson = (output: string) => JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')

    it('lists the training', async () => {
      const { exitCode, output } = await fleet.run('trainings')

      expect(exitCode).to.equal(0)
      const row = output.split('\n').find((line) => line.startsWith(training.id))
      expect(row).to.match(
        new RegExp(`${fleet.organization}/${fleet.project}#1\\s+quick\\s+completed\\s.*${hostId}\\s+1\\s`),
      )
    })

    it('lists it for programs', async () => {
      const { output } = await fleet.run('trainings', '--json')

      expect(lastJson(output)).to.have.lengthOf(1)
      expect(lastJson(output)[0]).to.deep.include({
        id: training.id,
        organization: fleet.organization,
        project: fleet.project,
        trainingNumber: 1,
        outcome: 'completed',
        errors: {},
        trainImageCount: 6,
        testImageCount: 2,
      })
      expect(lastJson(output)[0].best).to.include({ epoch: EPOCHS })
      expect(Object.keys(lastJson(output)[0].best.classes)).to.have.lengthOf(2)
      expect(lastJson(output)[0].stages).to.have.all.keys(...stages)
    })

    it('shows it by its id, the beginning of it, and its name', async () => {
      const wanted = [training.id, training.id.slice(0, 5), `${fleet.organization}/${fleet.project}#1`]

      const shown = await Promise.all(wanted.map((id) => fleet.run('trainings', 'show', id, '--json')))

      expect(shown.map(({ output }) => lastJson(output).id)).to.deep.equal(wanted.map(() => training.id))
    })

    it('shows its log', async () => {
      const { exitCode, output } = await fleet.run('trainings', 'logs', training.id)

      expect(exitCode).to.equal(0)
      expect(output).to.include('new best model of epoch 1').and.include('epoch 2: ')
    })

    it('says that there is no such training, without a stack trace', async () => {
      const { exitCode, output } = await fleet.run('trainings', 'show', 'zzz')

      expect(exitCode).to.equal(2)
      expect(output)
        .to.include('There is no training "zzz"')
        .and.not.match(/\n\s+at /)
    })

    it('shows hosts, nodes and the counts of the queues', async () => {
      const { output } = await fleet.run('status', '--json')

      const status = lastJson(output)
      expect(status.hosts).to.have.lengthOf(1)
      expect(status.hosts[0]).to.deep.include({ hostId, trainers: ['quick'], trainings: [] })
      expect(status.nodes[0]).to.include({ uuid: training.seat.uuid, type: 'trainer', trainer: 'quick' })
      expect(status.queues[`${hostId}.upload`]).to.include({ completed: 4, failed: 0, active: 0, waiting: 0 })
    })

    it('shows them as tables', async () => {
      const { exitCode, output } = await fleet.run('status')

      expect(exitCode).to.equal(0)
      for (const text of ['HOST', 'NODE', 'QUEUE', hostId, training.seat.uuid, `${hostId}.upload`]) {
        expect(output).to.include(text)
      }
    })

    for (const args of [['status'], ['trainings', '--json'], ['trainings', 'logs', '-f']]) {
      it(`ends without a word when nobody reads what "${args.join(' ')}" prints any more`, async () => {
        const command = [MAIN, ...args, ...(args.includes('logs') ? [training.id] : [])]
        const place = { REDIS_URL: fleet.redis.url, DATA_FOLDER: fleet.folder }
        const env = { PATH: process.env.PATH, ...place }
        const child = spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] })
        child.stdout.destroy()

        const [complaints, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'exit')])

        expect([exitCode, complaints]).to.deep.equal([0, ''])
      })
    }

    it('says who is there and who is away, and leaves out the queues of who has gone, unless something waits in them', async () => {
      await fleet.queues.add('node.with-work', 'told', {}, { id: 'one' })
      const consumer = fleet.queues.consume('node.without', async () => 'done', { schema: z.unknown() })
      await fleet.queues.runJob('node.without', 'told', {}, { id: 'one' })
      await consumer.close()
      const others = createFleet(fleet.link)
      const away = { hostId: 'gpu-away', pid: 1, trainers: [] }
      await others.announceHost(away, { ttlMs: 1 })

      const { output } = await fleet.run('status')
      await others.withdrawHost('gpu-away')

      expect(output).to.match(new RegExp(`^${hostId} +online `, 'm'))
      expect(output).to.match(/^gpu-away +offline for /m)
      expect(output).to.match(new RegExp(` online +trainer +quick +${training.seat.uuid}$`, 'm'))
      expect(output).to.match(/^node\.with-work +1 /m)
      expect(output).not.to.include('node.without ')
      expect(output).to.include('1 more of hosts and nodes that are gone, with nothing to do (--json)')
    })
  })
})
