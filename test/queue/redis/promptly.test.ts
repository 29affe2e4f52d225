import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { withoutDeadline } from '../../../src/queue/redis/deadline.js'
import { luaScript } from '../../../src/queue/redis/lua-script.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { promptly } from '../../../src/queue/redis/promptly.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { beginLongScript, endLongScript } from '../busy-redis.js'
import { type OwnRedis, startOwnRedis } from '../own-redis.js'
import { REFUSALS } from '../refusals.js'

const log = silentLogger()
const WRITE = luaScript("return redis.call('INCR', KEYS[1])")
const KEY = '{loopfleet}:written'

type Outage = { readonly begin: (redis: OwnRedis) => unknown; readonly end: (redis: OwnRedis) => unknown }

const OUTAGES: Readonly<Record<string, Outage>> = {
  withholding: {
    begin: (redis) => redis.call('CLIENT', 'PAUSE', '600000', 'WRITE'),
    end: (redis) => redis.call('CLIENT', 'UNPAUSE'),
  },
  paused: { begin: (redis) => redis.call('CLIENT', 'PAUSE', '5000', 'ALL'), end: () => undefined },
  busy: { begin: beginLongScript, end: endLongScript },
  stopped: { begin: (redis) => redis.signal('SIGSTOP'), end: (redis) => redis.signal('SIGCONT') },
  dead: { begin: (redis) => redis.kill(), end: (redis) => redis.start() },
  'read-only': {
    begin: (redis) => REFUSALS['read-only']?.begin(redis),
    end: (redis) => REFUSALS['read-only']?.end(redis),
  },
}

/** A server that answers is there, so that none of them says to check whether it runs. */
const WAYS_OUT: Readonly<Record<string, RegExp>> = {
  withholding: /; wait until the pause is over, or end it with CLIENT UNPAUSE\.$/,
  busy: /; wait until the script ends, or end it with SCRIPT KILL\.$/,
  'read-only':
    /takes no writes: it .*replica; let REDIS_URL lead to the primary, or make this server the primary \(REPLICAOF NO ONE\)\.$/,
}

describe('what somebody waits for', function () {
  this.timeout(30_000)
  const folder = useTemporaryFolder()
  let redis: OwnRedis
  let link: RedisLink

  beforeEach(async () => {
    redis = await startOwnRedis(folder.path)
    link = await openRedis(redis.url, { log })
  })
  afterEach(async () => {
    redis.signal('SIGCONT')
    link.leave()
    await redis.close()
  })

  /** What is written when all that was sent before has been carried out or dropped. */
  async function settled(): Promise<unknown> {
    await link.client.set('{loopfleet}:behind', '1')
    return await link.client.get(KEY)
  }

  for (const [name, { begin, end }] of Object.entries(OUTAGES)) {
    it(`is refused within three seconds while Redis is ${name}, and is not done later`, async () => {
      await begin(redis)
      const askedAt = performance.now()

      const error = await rejection(promptly(link, () => WRITE(link.client, [KEY], [])))
      const seconds = (performance.now() - askedAt) / 1000
      await end(redis)

      expect(error).to.have.property('code').that.is.oneOf(['LF_REDIS_UNFIT', 'LF_REDIS_UNREACHABLE'])
      expect(error.message).to.match(WAYS_OUT[name] ?? /check REDIS_URL and that the server runs\.$/)
      expect(seconds).to.be.within(2.5, 3.5)
      expect(await settled()).to.equal(null)
    })

    it(`is refused, and not done later, when Redis is ${name} before it carries the script out`, async () => {
      const askedAt = performance.now()

      const error = await rejection(
        promptly(link, async () => {
          await begin(redis)
          return await WRITE(link.client, [KEY], [])
        }),
      )
      const seconds = (performance.now() - askedAt) / 1000
      await end(redis)

      expect(error).to.have.property('code').that.is.oneOf(['LF_REDIS_UNFIT', 'LF_REDIS_UNREACHABLE'])
      expect(seconds).to.be.below(3.5)
      expect(await settled()).to.equal(null)
    })
  }

  it('is done when Redis recovers in time', async () => {
    await redis.call('CLIENT', 'PAUSE', '1500', 'WRITE')

    expect(await promptly(link, () => WRITE(link.client, [KEY], []))).to.equal(1)
  })

  it('waits for what came before it, however that ends', async () => {
    const order: string[] = []
    const step = (name: string) => async () => {
      await WRITE(link.client, [KEY], [])
      order.push(name)
      throw new Error(name)
    }

    const first = promptly(link, step('first'))
    const second = promptly(link, step('second'), { after: first })
    const third = promptly(link, step('third'), { after: second })
    await Promise.allSettled([third, second, first])

    expect(order).to.deep.equal(['first', 'second', 'third'])
  })

  it('does nothing more that was waiting for an answer when it was refused', async () => {
    let later: Promise<unknown> = Promise.resolve()
    redis.signal('SIGSTOP')
    setTimeout(() => redis.signal('SIGCONT'), 4_000)

    const asked = promptly(link, () => {
      later = link.client.get('x').then(() => WRITE(link.client, [KEY], []))
      return later
    })

    await rejection(asked)
    await later.catch(() => undefined)
    expect(await settled()).to.equal(null)
  })

  it('binds neither what goes on after the answer, nor what is exempted', async () => {
    let goOn: () => void = () => undefined
    const answered = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let later: Promise<unknown> = Promise.resolve()
    await promptly(link, async () => {
      later = answered.then(() => WRITE(link.client, [KEY], []))
    })

    await redis.call('CLIENT', 'PAUSE', '4000', 'WRITE')
    goOn()
    const refused = promptly(link, async () => await withoutDeadline(() => WRITE(link.client, [KEY], [])))

    expect(await rejection(refused)).to.have.property('code', 'LF_REDIS_UNFIT')
    expect(await later).to.equal(1)
  })
})
