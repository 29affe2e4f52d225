import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { converterFile, startConverterFleet } from '../helpers/converter-fleet.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../queue/own-redis.js'

const UNTIL_GO = { epochs: 80, epoch_seconds: 0.02, waits_for_go_at_epoch: 4 }

describe('when Redis comes back without its records', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  const stops: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function aRedis(): Promise<OwnRedis> {
    const redis = await startOwnRedis(folder.path, '--appendfsync', 'always')
    stops.push(() => redis.close())
    return redis
  }

  async function aFleet(redis: OwnRedis, workers?: readonly string[]): Promise<Fleet> {
    const fleet = await startFleet({ redisUrl: redis.url, lockMs: 2_000, ...(workers && { workers }) })
    stops.push(() => fleet.close())
    return fleet
  }

  const restartEmpty = async (redis: OwnRedis) => {
    await redis.kill()
    await redis.start(join(folder.path, 'empty'))
  }
  const seatOf = (fleet: Fleet) => fleet.loop.node(String(fleet.trainer.facts.uuid))
  const untilTold = (fleet: Fleet, sentence: string) =>
    until('the Loop is told', () => JSON.stringify(fleet.seen().errors).includes(sentence), 20_000)

  for (const [what, lose] of [
    ['without any', restartEmpty],
    [
      'without one',
      async (redis: OwnRedis, id: string) =>
        void (await redis.call('DEL', `{loopfleet}:training:${id}`, `{loopfleet}:records:record:${id}`)),
    ],
  ] as const) {
    it(`${what}, a program goes on to its end; host, node and Loop report it, and its models stay`, async () => {
      const redis = await aRedis()
      const fleet = await aFleet(redis)
      await fleet.order({ hyperparameters: UNTIL_GO })
      await fleet.until({ epoch: 3 })
      const { id } = await fleet.record()
      const workspace = await fleet.workspace()
      const sentence = `Redis came back without the record of training ${id}`
      const starts = () => readFile(join(workspace, 'starts.jsonl'), 'utf8')
      const before = await starts()

      await lose(redis, id)
      await untilTold(fleet, sentence)
      const reported = await until(
        'host and node report it',
        async () => {
          const { output } = await fleet.run('status')
          return output.includes(`${fleet.id}-a: ${sentence}`) && output.includes(`quick: ${sentence}`) && output
        },
        30_000,
      )
      const listed = await fleet.run('trainings')
      await writeFile(join(workspace, 'go'), '')
      await until('the program has ended', async () => (await fleet.programs()).length === 0, 40_000)

      expect(reported).to.contain(workspace)
      expect(listed.output).to.contain(`${fleet.id}-a: ${sentence}`).and.to.contain(`quick: ${sentence}`)
      expect(await readFile(join(workspace, 'last_training.log'), 'utf8')).to.match(/\b80\b/)
      expect(await readdir(join(workspace, 'models'))).not.to.deep.equal([])
      expect(await starts()).to.equal(before)
      expect(seatOf(fleet)?.state).to.equal('running')
      for (const part of [fleet.trainer, ...fleet.workers]) expect(await part.log()).to.contain(sentence)
    })
  }

  it('an abort at the Loop ends the program and frees the seat for another order', async () => {
    const redis = await aRedis()
    const fleet = await aFleet(redis)
    await fleet.order({ hyperparameters: { epochs: 10_000, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 3 })
    await restartEmpty(redis)
    await untilTold(fleet, 'Redis came back without the record')

    const refused = await fleet.loop.orderTraining(fleet.organization, fleet.project, {
      trainer: String(fleet.trainer.facts.uuid),
    })
    await fleet.abort()
    await until('the program has ended', async () => (await fleet.programs()).length === 0, 20_000)
    await until('the seat is idle', () => seatOf(fleet)?.state === 'idle')
    await fleet.order({ hyperparameters: { epochs: 3 } })
    await fleet.until({ ended: true }, 40_000)

    expect(JSON.stringify(refused.ack)).to.contain('Redis came back without the record')
    expect(fleet.seen()).to.include({ outcome: 'completed' })
  })

  it('a training that still waited is reported too, and not as idle', async () => {
    const redis = await aRedis()
    const fleet = await aFleet(redis, [])
    await fleet.order()

    await redis.call('FLUSHALL')
    await untilTold(fleet, 'Redis came back without the record')

    expect(seatOf(fleet)).to.include({ state: 'initialized' })
  })

  it('with an older file, the program goes on, and the training is completed from what it has left', async () => {
    const redis = await aRedis()
    const fleet = await aFleet(redis, [])
    await fleet.order({ hyperparameters: UNTIL_GO })
    const copy = join(folder.path, 'older')
    await cp(redis.folder, copy, { recursive: true })
    await fleet.startWorker({ data: 'a' })
    await fleet.until({ epoch: 3 }, 40_000)
    const [first] = await fleet.starts()

    await redis.kill()
    await redis.start(copy)
    // On records the host gives the newer truth back to Redis; the journal cannot be corrected while the run goes on.
    await until('its host has noticed', async () =>
      /another record|ours again/.test((await fleet.workers[0]?.log()) ?? ''),
    )
    expect(await fleet.programs()).to.include(first?.pid)
    await writeFile(join(await fleet.workspace(), 'go'), '')
    await fleet.until({ ended: true }, 60_000)

    expect(fleet.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(fleet.uploads()).to.deep.equal({ mocked: 1, mocked_converted: 1 })
  })

  it('a conversion goes on, and the model has its format in the end', async () => {
    const redis = await aRedis()
    const fleet = await startConverterFleet({ REDIS_URL: redis.url, LOOPFLEET_LOCK_MS: '2000' })
    stops.push(() => fleet.close())
    const node = await fleet.start('converter', converterFile('follows-orders'), '--every', '1')
    const notes = join(folder.path, 'notes')
    const id = await fleet.upload({ 'model.a': `waits\n${notes}\n` })
    const starts = async () => (await readFile(notes, 'utf8').catch(() => '')).split('\n').filter(Boolean).length
    await until('the program runs', async () => (await starts()) === 1, 30_000)
    const programs = await fleet.programs()

    await restartEmpty(redis)
    await until('it is reported', async () => (await node.log()).includes('record of conversion'), 20_000)
    expect(await fleet.programs()).to.deep.equal(programs)
    await writeFile(`${notes}.go`, '')

    await fleet.untilFormat(id, 'format_b', 40_000)
    expect(fleet.uploads(id, 'format_b')).to.equal(1)
  })
})
