import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createLogger, silentLogger } from '../../../src/base/logger/logger.js'
import { luaScript } from '../../../src/queue/redis/lua-script.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { type OwnRedis, startOwnRedis, startVirtualAddress } from '../own-redis.js'
import { startRedisQuota } from '../redis-quota.js'

const INCREASE = luaScript("return redis.call('INCR', KEYS[1])")

describe('an outage of Redis', function () {
  this.timeout(40_000)
  const folder = useTemporaryFolder()
  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function aRedis(): Promise<OwnRedis> {
    const redis = await startOwnRedis(folder.path)
    stops.push(() => redis.close())
    return redis
  }

  async function open(url: string): Promise<{ link: RedisLink; lines: () => string[] }> {
    let text = ''
    const log = createLogger({ destination: { write: (line: string) => (text += line) } })
    const link = await openRedis(url, { log })
    stops.push(() => link.close())
    text = '' // without warnings about its settings
    return { link, lines: () => text.split('\n').filter((line) => line.includes('"msg":"Redis ')) }
  }

  for (const refusal of [
    'ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://redis.example/limits for details',
    'upstream failure',
  ]) {
    it(`in which every command is answered with "${refusal.slice(0, 30)}" is logged once, and all commands wait for its end`, async () => {
      const redis = await aRedis()
      const quota = await startRedisQuota(redis.port)
      stops.push(() => quota.close())
      const { link, lines } = await open(quota.url)
      const copy = link.duplicate()
      await copy.ping()

      quota.refuse(refusal)
      const written = [
        link.client.set('a', '1'),
        INCREASE(copy, ['b'], []),
        link.client.pipeline().set('c', '1').exec(),
        copy.blpop('d', 30),
      ]
      await until('it is logged', () => lines().length > 0)
      await sleep(2_000)
      const [problem, error, opened] = [
        link.problem(),
        await link.whyUnusable(),
        await rejection(openRedis(quota.url, { log: silentLogger() }, { connectTimeoutMs: 500 })),
      ]
      quota.refuse(undefined)
      await redis.call('LPUSH', 'd', '1')

      expect(await Promise.all(written)).to.deep.equal(['OK', 1, [[null, 'OK']], ['d', '1']])
      expect(problem).to.equal(`Redis refuses commands: ${refusal}.`)
      for (const { message } of [error ?? new Error(), opened])
        expect(message).to.contain(`it refuses commands: ${refusal}; lift that limit, or use another Redis.`)
      expect(lines().map((line) => JSON.parse(line).msg)).to.deep.equal([
        'Redis refuses commands; waiting for it',
        'Redis reconnected',
      ])
    })
  }

  it('is none when one command alone is refused', async () => {
    const { link, lines } = await open((await aRedis()).url)
    await link.client.set('text', 'a')

    const refused = await Promise.all([
      rejection(link.client.call('SET', 'a', '1', 'rubbish')),
      rejection(link.client.call('NOSUCH')),
      rejection(link.client.lpush('text', 'b')),
    ])

    expect(refused.map(({ message }) => message.slice(0, 10))).to.deep.equal(['ERR syntax', 'ERR unknow', 'WRONGTYPE '])
    expect(lines()).to.deep.equal([])
  })

  it('in which Redis has come back without the database of its address writes nothing into another one', async () => {
    const [many, one] = [await aRedis(), await startOwnRedis(folder.path, '--databases', '1')]
    stops.push(() => one.close())
    const address = await startVirtualAddress(many.port)
    stops.push(() => address.close())
    const { link, lines } = await open(`${address.url}/5`)

    await many.kill()
    address.move(one.port)
    const written = link.client.set('a', '1')
    await until('it is logged', () => lines().some((line) => line.includes('it has no database 5')))
    const [error, keys] = [await link.whyUnusable(), await one.call('KEYS', '*')]
    await many.start()
    address.move(many.port)

    expect(await written).to.equal('OK')
    expect(keys).to.deep.equal([])
    expect(error?.message).to.contain('name another one in REDIS_URL').and.not.contain('that the server runs')
    expect(lines().filter((line) => line.includes('reconnected'))).to.have.lengthOf(1)
  })
})
