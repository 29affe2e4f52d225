import { expect } from 'chai'
import { z } from 'zod'
import { createLogger, silentLogger } from '../../src/base/logger/logger.js'
import { createQueues, type Queues } from '../../src/queue/jobs/queues.js'
import { openRedis, type RedisLink } from '../../src/queue/redis/open-redis.js'
import { refusalOf } from '../../src/queue/redis-basics/redis-refusals.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { type OwnRedis, startOwnRedis, startVirtualAddress, type VirtualAddress } from './own-redis.js'

const log = silentLogger()
const schema = z.object({ n: z.number() })

describe('after a failover behind one address', function () {
  this.timeout(40_000)
  const folder = useTemporaryFolder()
  let first: OwnRedis
  let second: OwnRedis
  let address: VirtualAddress
  let link: RedisLink
  let queues: Queues
  const stops: (() => Promise<unknown>)[] = []

  beforeEach(async () => {
    first = await startOwnRedis(folder.path)
    second = await startOwnRedis(folder.path)
    await second.call('REPLICAOF', '127.0.0.1', String(first.port))
    await until('the replica follows', async () => String(await second.call('INFO', 'replication')).includes(':up'))
    address = await startVirtualAddress(first.port)
    link = await openRedis(address.url, { log })
    queues = createQueues(link, { log })
    stops.push(() => first.close())
    stops.push(() => second.close())
    stops.push(() => address.close())
    stops.push(() => link.close())
    stops.push(() => queues.close())
  })
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function promoteSecond(): Promise<void> {
    await second.call('REPLICAOF', 'NO', 'ONE')
    await first.call('REPLICAOF', '127.0.0.1', String(second.port))
  }

  for (const [order, failOver] of [
    ['roles first, then the address', async () => promoteSecond().then(() => address.move(second.port))],
    [
      'the address first, then the roles',
      async () => {
        address.move(second.port)
        await promoteSecond()
      },
    ],
    [
      'the address seconds after the roles',
      async () => {
        await promoteSecond()
        await new Promise((resolve) => setTimeout(resolve, 3_000))
        address.move(second.port)
      },
    ],
  ] as const) {
    it(`jobs go on within ten seconds: ${order}`, async () => {
      const done: number[] = []
      queues.consume('q', async (job) => done.push(job.data.n), { schema })
      await queues.add('q', 'n', { n: 1 }, { id: 'one' })
      await until('the first is done', () => done.length === 1)

      await failOver()
      const begunAt = performance.now()
      await queues.add('q', 'n', { n: 2 }, { id: 'two' })
      await until('the second is done', () => done.includes(2), 10_000)

      expect(performance.now() - begunAt).to.be.below(10_000)
      expect(await second.call('EXISTS', '{loopfleet}:q:two')).to.equal(1)
    })
  }

  it('a server that is a replica for a while is named in the log once, and nothing floods', async () => {
    const warned: string[] = []
    const onWarning = (warning: Error) => warned.push(warning.name)
    process.on('warning', onWarning)
    stops.push(async () => process.off('warning', onWarning))
    let text = ''
    const watched = await openRedis(first.url, { log: createLogger({ destination: { write: (l) => (text += l) } }) })
    stops.push(() => watched.close())
    const write = (n: number) => watched.client.set(`{loopfleet}:${n}`, '1')

    await promoteSecond()
    const writes = Promise.all(Array.from({ length: 50 }, (_, n) => write(n)))
    await until('the log names it', () => text.includes('it is a read-only replica; let REDIS_URL lead to the primary'))
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    await first.call('REPLICAOF', 'NO', 'ONE')
    await writes

    await until('the log says that it is over', () => text.includes('Redis takes writes again'), 10_000)
    expect(text.split('it is a read-only replica').length - 1).to.equal(1)
    expect(warned).to.deep.equal([])
  })

  it('nothing is said to be over while the server still refuses, though no command is refused for a while', async () => {
    let text = ''
    const logger = createLogger({ destination: { write: (line: string) => (text += line) } })
    const watched = await openRedis(first.url, { log: logger }, { lookMs: 50 })
    stops.push(() => watched.close())
    const [writer, reader] = [watched.duplicate(), watched.duplicate()]
    await reader.ping()

    await promoteSecond()
    const refused = rejection(writer.set('{loopfleet}:a', '1')) // the connection is made again and again
    await until('the log names it', () => text.includes('it is a read-only replica'))
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    writer.disconnect() // now no command is refused any more
    await refused
    await new Promise((resolve) => setTimeout(resolve, 2_500))

    expect(text).not.to.match(/takes writes again|connecting older|silent/)
    await first.call('REPLICAOF', 'NO', 'ONE')
    await until('the log says that it is over', () => text.includes('Redis takes writes again'), 10_000)
    await until('those that only read are made again', () => text.includes('connecting older connections'))
  })

  it('a job that is at work keeps its lock and ends once', async () => {
    let finish: () => void = () => undefined
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    let begun = 0
    const work = async () => {
      begun += 1
      await finished
      return { done: true }
    }
    queues.consume('q', work, { schema })
    const result = queues.runJob('q', 'n', { n: 1 }, { id: 'one' })
    await until('it has begun', () => begun === 1)

    await promoteSecond()
    address.move(second.port)
    finish()

    expect(await result).to.deep.equal({ done: true })
    expect(begun).to.equal(1)
  })

  it('listeners and reading connections follow too, though nothing refused them', async () => {
    const heard: string[] = []
    await link.subscribe('{loopfleet}:said', (message) => heard.push(message))
    const reader = link.duplicate()
    await reader.ping()

    await promoteSecond()
    address.move(second.port)
    await link.client.set('{loopfleet}:x', '1')
    await until('they are where the writes go', async () => {
      const clients = String(await second.call('CLIENT', 'LIST'))
      return clients.includes('cmd=subscribe') && clients.split('\n').length >= 5
    })
    await first.kill()
    await second.call('PUBLISH', '{loopfleet}:said', 'hello')

    await until('it is heard', () => heard.includes('hello'))
    expect(await reader.get('{loopfleet}:x')).to.equal('1')
  })

  it('a primary without its replicas is left for the one that has them', async () => {
    await first.call('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await second.call('REPLICAOF', 'NO', 'ONE')
    await until('the first is refused', async () =>
      String(await first.call('INFO', 'replication')).includes('connected_slaves:0'),
    )
    address.move(second.port)

    await link.client.set('{loopfleet}:x', '1')

    expect(await second.call('GET', '{loopfleet}:x')).to.equal('1')
  })
})

describe('what Redis says of itself', () => {
  for (const [text, code] of [
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ["READONLY You can't write against a read only replica. script: 8d3f, on @user_script:1.", 'READONLY'],
    [
      "ERR Error running script (call to f_8d3f): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
      'READONLY',
    ],
    ['UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)', 'UNBLOCKED'],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'MASTERDOWN'],
    ['LOADING Redis is loading the dataset in memory', 'LOADING'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    ["-OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.', 'MISCONF'],
    ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    ["NOPERM this user has no permissions to run the 'evalsha' command", 'NOPERM'],
    [
      "ERR The user executing the script can't run this command or subcommand script: 5ab4, on @user_script:7.",
      'NOPERM',
    ],
  ] as const) {
    it(`is read from ${JSON.stringify(text.slice(0, 60))}`, () => {
      expect(refusalOf(new Error(text))).to.have.property('code', code)
    })
  }

  for (const text of [
    'ERR unknown command',
    'WRONGTYPE Operation against a key',
    'Connection is closed.',
    'NOSCRIPT No',
  ]) {
    it(`is not read into ${JSON.stringify(text)}`, () => {
      expect(refusalOf(new Error(text))).to.equal(undefined)
    })
  }
})
