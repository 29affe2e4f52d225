import { once } from 'node:events'
import { expect } from 'chai'
import { stepJobSchema } from '../../src/queue/jobs/job-schemas.js'
import { queueNames } from '../../src/queue/jobs/names.js'
import { hostA } from '../queue/orders.js'
import { aFailure, anOrderToConvert, failConversion } from './conversions.js'
import { type DashboardFixture, startDashboardFixture } from './dashboard-fixture.js'

const gpu = {
  index: 0,
  name: 'Tesla T4',
  utilizationPercent: 87,
  memoryUsedBytes: 6e9,
  memoryTotalBytes: 16e9,
  temperatureCelsius: 71,
  powerWatts: 63.5,
}

describe('dashboard api', () => {
  let dashboard: DashboardFixture
  before(async () => {
    dashboard = await startDashboardFixture()
  })
  after(() => dashboard.close())
  beforeEach(async () => {
    await dashboard.redis.link.client.flushall()
  })

  const get = async (path: string) => {
    const response = await fetch(`${dashboard.url}${path}`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const post = async (path: string) => {
    const response = await fetch(`${dashboard.url}${path}`, { method: 'POST' })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  it('lists trainings, hosts with their GPUs, nodes and queues', async () => {
    const { id } = await dashboard.order()
    const host = { hostId: 'host-a', pid: 11, trainers: ['shapes'], places: 2, free: 1, gpus: [gpu] }
    await dashboard.fleet.announceHost(host, { ttlMs: 60_000 })
    await dashboard.redis.queues.add('host-b.upload', 'upload-model', {}, { id: 'x.1.upload-model' })
    await dashboard.fleet.announceNode({ uuid: 'seat-a', name: 'Trainer A', type: 'trainer' }, { ttlMs: 60_000 })

    const { status, body } = await get('/api/fleet')

    expect(status).to.equal(200)
    expect(body).to.include({ total: 1, unfinished: 1 })
    expect(body).to.have.nested.property('trainings[0].id', id)
    expect(body).to.have.nested.property('trainings[0].name', 'zauberzeug/shapes#1')
    expect(body).to.have.nested.property('trainings[0].actions').that.eql(['stop', 'abort'])
    expect(body).to.have.nested.property('hosts[0].gpus').that.eql([gpu])
    expect(body).to.have.nested.property('nodes[0].name', 'Trainer A')
    expect(body).to.have.nested.property('queues[0].name')
  })

  it('lists conversions with their causes, and retries one that failed, once', async () => {
    const id = await failConversion(dashboard.conversions)
    await dashboard.conversions.plan({ ...anOrderToConvert, modelId: 'm2' }, { definition: 'd1', readAt: 0 })
    await dashboard.conversions.appendLog(id, 'no such layer\n')

    const all = await get('/api/conversions')
    const failed = await get('/api/conversions?failed=true')
    const log = await get(`/api/conversions/${id}/log`)
    const retried = await post(`/api/conversions/${id}/retry`)
    const again = await post(`/api/conversions/${id}/retry`)

    expect(all.body).to.include({ total: 2 })
    expect(all.body).to.have.nested.property('conversions[0].queue', null) // no host has had it
    expect(failed.body).to.have.nested.property('conversions[0].queue', 'host-a.conversions')
    expect(failed.body).to.include({ total: 1 })
    expect(failed.body).to.have.nested.property('conversions[0].failure').that.eql(aFailure)
    expect(failed.body).to.have.nested.property('conversions[0].actions').that.eql(['retry'])
    expect(log.body).to.have.nested.property('entries[0].text', 'no such layer\n')
    expect(retried.body).to.include({ outcome: 'reopened' })
    expect(again).to.include({ status: 409 })
    for (const bad of ['nobody', 'C1', 'a%2Fb'])
      expect(await get(`/api/conversions/${bad}`)).to.include({ status: 404 })
  })

  it('shows the figures of the GPU and the program of a running train job', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.fleet.announceHost({ hostId: 'host-a', pid: 11, trainers: ['shapes'] }, { ttlMs: 60_000 })
    const progress = { progress: 0.5, epoch: 3, epochs: 6, gpus: [gpu], process: { cpuPercent: 98, memoryBytes: 2e8 } }
    const { queues, begun, end } = await beginTrainStep(dashboard, id, run, progress)

    await begun
    const { body } = await get(`/api/trainings/${id}`)
    end()
    await queues

    expect(body).to.have.nested.property('current[0].stage', 'train')
    expect(body).to.have.nested.property('current[0].gpus').that.eql([gpu])
    expect(body).to.have.nested.property('current[0].process').that.eql({ cpuPercent: 98, memoryBytes: 2e8 })
  })

  it('gives the log from where the reader has stopped', async () => {
    const { id } = await dashboard.order()
    await dashboard.trainings.appendLog(id, 'epoch 1')
    const first = await get(`/api/trainings/${id}/log`)
    await dashboard.trainings.appendLog(id, 'epoch 2')

    const second = await get(`/api/trainings/${id}/log?from=${String(first.body.cursor)}`)

    expect(first.body).to.have.nested.property('entries[0].text', 'epoch 1')
    expect(second.body.entries).to.have.lengthOf(1)
    expect(second.body).to.have.nested.property('entries[0].text', 'epoch 2')
  })

  it('aborts a training that waits', async () => {
    const { id } = await dashboard.order()

    expect(await post(`/api/trainings/${id}/abort`)).to.eql({
      status: 200,
      body: { id, action: 'abort', outcome: 'ended' },
    })

    expect(await dashboard.trainings.load(id)).to.include({ outcome: 'aborted' })
  })

  it('notes down a stop for the worker that has the training', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.trainings.update(id, run, { best: { epoch: 1, f1: 0.5 } })

    expect((await post(`/api/trainings/${id}/stop`)).body).to.include({ outcome: 'asked' })

    expect(await dashboard.trainings.pending(id)).to.equal('stop')
    expect(await get(`/api/trainings/${id}`)).to.have.nested.property('body.stopRequested', true)
    await dashboard.trainings.finish(id, run, { outcome: 'completed' })
    expect((await get(`/api/trainings/${id}`)).body).to.include({ outcome: 'completed', shownOutcome: 'stopped' })
  })

  it('retries a failed training', async () => {
    const { id } = await dashboard.order()
    await dashboard.trainings.finish(id, null, { outcome: 'failed', errors: { run_training: 'exit code 1' } })
    expect((await get(`/api/trainings/${id}`)).body.actions).to.eql(['retry'])

    expect((await post(`/api/trainings/${id}/retry`)).status).to.equal(200)

    expect(await dashboard.trainings.load(id)).to.deep.include({ outcome: null, endedAt: null, errors: {} })
    expect((await dashboard.trainings.load(id))?.life).to.equal('waiting')
  })

  it('tells why a training failed, with the last lines of its program', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    const failure = {
      stage: 'train',
      code: 'LF_TRAINER_EXITED',
      message: 'The trainer ended with exit code 1.',
      failure: 'program',
      hostId: 'host-a',
      attempt: 3,
      exitCode: 1,
      signal: null,
      lastLogLines: ['loading', 'CUDA out of memory'],
      at: 5,
    } as const
    await dashboard.trainings.update(id, run, { facts: { failure } })

    const { body } = await get(`/api/trainings/${id}`)

    expect(body.failure).to.eql(failure)
  })

  it('gives the curves of a training, with gaps where it told nothing', async () => {
    const { id } = await dashboard.order()
    await dashboard.trainings.addPoints(id, [{ epoch: 1, values: { loss: 2 } }])
    await dashboard.trainings.addPoints(id, [{ epoch: 2, values: { loss: 1, f1: 0.5 } }])

    expect((await get(`/api/trainings/${id}/curve`)).body).to.eql({
      epochs: [1, 2],
      series: [
        { name: 'loss', values: [2, 1] },
        { name: 'f1', values: [null, 0.5] },
      ],
    })
    expect((await get('/api/trainings/nosuchid1234/curve')).status).to.equal(404)
  })

  it('lets a host drain and take trainings again', async () => {
    await dashboard.fleet.announceHost({ hostId: 'host-a', pid: 11, trainers: ['shapes'] }, { ttlMs: 60_000 })

    expect(await post('/api/hosts/host-a/drain')).to.eql({ status: 200, body: { hostId: 'host-a', isDraining: true } })
    expect((await get('/api/hosts')).body).to.have.nested.property('hosts[0].isDraining', true)
    expect(await post('/api/hosts/host-a/undrain')).to.have.nested.property('body.isDraining', false)
    expect((await post('/api/hosts/elsewhere/drain')).status).to.equal(404)
    expect((await post('/api/hosts/host-a/explode')).status).to.equal(400)
  })

  it('tells Prometheus of queues, hosts, nodes and GPUs, whatever their names hold', async () => {
    await dashboard.order()
    const { queues } = await dashboard.redis.another() // the emptied Redis has forgotten the queue's name
    await queues.add('trainings.shapes', 'training', { trainingId: 'other' }, { id: 'other' })
    const name = 'a "card"\nwith \\'
    const host = { hostId: 'host-a', pid: 11, trainers: ['shapes'], places: 2, free: 1, gpus: [{ ...gpu, name }] }
    await dashboard.fleet.announceHost(host, { ttlMs: 60_000 })
    await dashboard.redis.queues.add('host-a.train', 'train', {}, { id: 'x.1.train' })
    await dashboard.fleet.announceNode({ uuid: 'seat-a', name: 'Trainer A', type: 'trainer' }, { ttlMs: 60_000 })
    await dashboard.conversions.plan(anOrderToConvert, { definition: 'd1', readAt: 0 })

    const response = await fetch(`${dashboard.url}/metrics`)
    const lines = (await response.text()).split('\n')

    expect(response.headers.get('content-type')).to.contain('text/plain')
    expect(lines).to.include('loopfleet_trainings{which="unfinished"} 1')
    expect(lines).to.include('loopfleet_trainings_waiting{trainer="shapes"} 1')
    expect(lines).to.include('loopfleet_host_places_free{host="host-a"} 1')
    expect(lines).to.include('loopfleet_conversions{state="waiting"} 1')
    expect(lines).to.include('loopfleet_conversions_waiting{converter="quantize"} 1')
    expect(lines).to.include('loopfleet_node_up{uuid="seat-a",name="Trainer A",type="trainer"} 1')
    expect(lines).to.include(
      'loopfleet_gpu_utilization_ratio{host="host-a",gpu="0",name="a \\"card\\"\\nwith \\\\"} 0.87',
    )
    expect(lines.some((line) => /^loopfleet_queue_jobs\{queue="[^"]+",state="waiting"\} \d+$/.test(line))).to.equal(
      true,
    )
  })

  it('tells Prometheus why GPUs are not offered, and what is not served', async () => {
    const notServed = [{ kind: 'trainer' as const, name: 'big', reason: '2 GPUs are needed' }]
    const gpuState = { state: 'unreadable' as const, offered: [], reason: 'driver mismatch' }
    const host = { hostId: 'host-a', pid: 11, trainers: [], gpuState, notServed }
    await dashboard.fleet.announceHost(host, { ttlMs: 60_000 })

    const lines = (await (await fetch(`${dashboard.url}/metrics`)).text()).split('\n')

    expect(lines).to.include('loopfleet_host_gpus_offered{host="host-a"} 0')
    expect(lines).to.include('loopfleet_host_gpus_unreadable{host="host-a",reason="driver mismatch"} 1')
    expect(lines.join('\n')).to.include('kind="trainer",name="big",reason="2 GPUs are needed"} 1')
  })

  it('tells Prometheus which preflights have passed, and nothing of one that has not ended', async () => {
    const report = { kind: 'trainer' as const, reason: null, notes: [], at: null }
    const preflights = [
      { ...report, name: 'fit', state: 'passed' as const },
      { ...report, name: 'broken', state: 'failed' as const, reason: 'no torch' },
      { ...report, name: 'new', state: 'pending' as const },
    ]
    await dashboard.fleet.announceHost({ hostId: 'host-a', pid: 11, trainers: [], preflights }, { ttlMs: 60_000 })

    const text = await (await fetch(`${dashboard.url}/metrics`)).text()

    expect(text.split('\n').filter((line) => line.startsWith('loopfleet_host_preflight_passed'))).to.deep.equal([
      'loopfleet_host_preflight_passed{host="host-a",kind="trainer",name="fit"} 1',
      'loopfleet_host_preflight_passed{host="host-a",kind="trainer",name="broken"} 0',
    ])
  })

  it('tells Prometheus how many errors hosts and nodes report', async () => {
    const host = {
      hostId: 'host-a',
      pid: 11,
      trainers: [],
      errors: ['Redis came back without a record', 'and another'],
    }
    await dashboard.fleet.announceHost(host, { ttlMs: 60_000 })
    await dashboard.redis.queues.add('host-a.train', 'train', {}, { id: 'x.1.train' })
    await dashboard.fleet.announceNode({ uuid: 'seat-a', name: 'A', type: 'trainer' }, { ttlMs: 60_000 })

    const lines = (await (await fetch(`${dashboard.url}/metrics`)).text()).split('\n')

    expect(lines).to.include('loopfleet_host_errors{host="host-a"} 2')
    expect(lines).to.include('loopfleet_node_errors{uuid="seat-a",name="A",type="trainer"} 0')
  })

  it('gives the reason for which Redis refuses writes, also to Prometheus', async () => {
    const { client } = dashboard.redis.link
    const metrics = async () => (await (await fetch(`${dashboard.url}/metrics`)).text()).split('\n')
    const before = { fleet: await get('/api/fleet'), metrics: await metrics() }

    await client.config('SET', 'maxmemory', '1')
    const refusing = { fleet: await get('/api/fleet'), metrics: await metrics() }
    await client.config('SET', 'maxmemory', '0')

    expect(before.fleet.body.redis).to.include({ takesWrites: true, problem: null })
    expect(before.metrics).to.include('loopfleet_redis_refuses_writes{code=""} 0')
    expect(refusing.fleet.body.redis).to.include({ takesWrites: false, code: 'OOM' })
    expect(refusing.metrics).to.include('loopfleet_redis_refuses_writes{code="OOM"} 1')
  })

  it('refuses to retry a training that has not failed, with a sentence', async () => {
    const { id } = await dashboard.order()

    const { status, body } = await post(`/api/trainings/${id}/retry`)

    expect(status).to.equal(409)
    expect(body.detail).to.match(/has not ended/)
  })

  for (const id of [
    'nosuchid1234',
    '__proto__',
    'A*',
    '..%2f..%2fx',
    encodeURIComponent('x:log'),
    '%00',
    '%F0%9F%98%80',
  ]) {
    it(`answers 404 for the training ${id}`, async () => {
      expect((await get(`/api/trainings/${id}`)).status).to.equal(404)
      expect((await get(`/api/trainings/${id}/log`)).status).to.equal(404)
      expect((await post(`/api/trainings/${id}/abort`)).status).to.equal(404)
    })
  }

  for (const query of ['limit=0', 'limit=1e9', 'limit=x', 'offset=-1', 'limit=1&limit=2']) {
    it(`refuses a list by ?${query}`, async () => {
      expect((await get(`/api/trainings?${query}`)).status).to.equal(400)
    })
  }

  it('refuses a log position that is none', async () => {
    const { id } = await dashboard.order()

    expect((await get(`/api/trainings/${id}/log?from=-`)).status).to.equal(400)
  })

  it('refuses other actions', async () => {
    const { id } = await dashboard.order()

    expect((await post(`/api/trainings/${id}/delete`)).status).to.equal(400)
    expect((await get(`/api/trainings/${id}/abort`)).status).to.equal(404)
    expect(await dashboard.trainings.load(id)).to.include({ outcome: null })
  })

  it('says 503 while Redis is away instead of hanging', async () => {
    const { link } = dashboard.redis
    const away = once(link.client, 'end')
    link.client.disconnect()
    await away

    const { status, body } = await get('/api/fleet')
    await link.client.connect()

    expect(status).to.equal(503)
    expect(body.detail).to.match(/Redis is unreachable; the dashboard waits/)
  })

  it('says 503 within three seconds while Redis hangs', async () => {
    const { pid } = dashboard.redis.server
    process.kill(pid, 'SIGSTOP')
    const begunAt = performance.now()

    const [api, metrics] = await Promise.all([get('/api/redis'), get('/metrics')]).finally(() =>
      process.kill(pid, 'SIGCONT'),
    )

    expect(performance.now() - begunAt).to.be.below(3_000)
    expect([api.status, metrics.status]).to.deep.equal([503, 503])
    expect(api.body.detail).to.equal('Redis does not answer; the dashboard waits for it.')
  })
})

/** A worker that is busy with a train step which has told its progress. */
async function beginTrainStep(dashboard: DashboardFixture, trainingId: string, run: number, progress: object) {
  const queue = queueNames.host('host-a', 'train')
  let end: () => void = () => undefined
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  let tell: () => void = () => undefined
  const begun = new Promise<void>((resolve) => {
    tell = resolve
  })
  const consumer = dashboard.redis.queues.consume(
    queue,
    async (job) => {
      await job.updateProgress(progress)
      tell()
      await ended
    },
    { concurrency: 1, schema: stepJobSchema },
  )
  const id = `${trainingId}.${run}.train.1-0`
  const work = dashboard.redis.queues.runJob(queue, 'train', { id: trainingId, run, step: 'train' }, { id })
  return { queues: work.then(() => consumer.close()), begun, end }
}
