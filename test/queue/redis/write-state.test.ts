import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { readWriteState } from '../../../src/queue/redis/write-state.js'
import { REDIS_RULE } from '../../../src/queue/redis-basics/redis-errors.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { type OwnRedis, startOwnRedis } from '../own-redis.js'
import { REFUSALS } from '../refusals.js'

const log = silentLogger()

describe('whether Redis takes writes', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  let redis: OwnRedis
  const links: RedisLink[] = []

  beforeEach(async () => {
    redis = await startOwnRedis(folder.path)
  })
  afterEach(async () => {
    for (const link of links.splice(0)) await link.close()
    await redis.close()
  })

  async function open(access: 'read' | 'write', login = ''): Promise<RedisLink> {
    const link = await openRedis(redis.url.replace('//', `//${login}`), { log }, { access })
    links.push(link)
    return link
  }

  for (const access of ['read', 'write'] as const) {
    for (const [name, { code, begin, end }] of Object.entries(REFUSALS)) {
      it(`is known to a connection to ${access} when it is ${name}, with ${code}`, async () => {
        const link = await open(access)
        await begin(redis)

        const refusing = await readWriteState(link)
        await end(redis)
        const taking = await readWriteState(link)

        expect(refusing).to.include({ takesWrites: false, code })
        expect(refusing.problem).to.match(/^Redis at redis:\/\/127.* takes no writes: .*; .*may be out of date\.$/)
        expect(taking).to.include({ takesWrites: true, code: null, problem: null })
      })
    }
  }

  for (const [what, rules] of [
    ['that is allowed no more than documented', REDIS_RULE.split(' ')],
    ['without INFO and CONFIG', ['~{loopfleet}:*', '&{loopfleet}:*', '+@all', '-info', '-config']],
  ] as const) {
    it(`is known to a user ${what}`, async () => {
      const link = await open('read')
      await redis.call('ACL', 'SETUSER', 'viewer', 'on', '>secret', ...rules)
      await link.client.auth('viewer', 'secret')

      expect(await readWriteState(link)).to.include({ takesWrites: true })
      await redis.call('CONFIG', 'SET', 'maxmemory', '1')
      expect(await readWriteState(link)).to.include({ takesWrites: false, code: 'OOM' })
    })
  }

  for (const [what, forbidden] of [
    ['writes', '-@write'],
    ['scripts', '-@scripting'],
    ['one command', '-xadd'],
  ] as const) {
    it(`names the user whose rules forbid ${what}`, async () => {
      await redis.call('ACL', 'SETUSER', 'viewer', 'on', '>secret', '~*', '&*', '+@all', forbidden)
      const link = await open('read', 'viewer:secret@')

      const { takesWrites, code, problem } = await readWriteState(link)

      expect({ takesWrites, code }).to.deep.equal({ takesWrites: false, code: 'NOPERM' })
      expect(problem).to.contain('user "viewer"').and.to.contain('docs/reference/redis.md')
    })
  }

  it('is asked without a write: no key, nothing in the append-only file, nothing for replicas', async () => {
    const link = await open('read')
    const facts = async () => {
      const info = String(await redis.call('INFO', 'everything'))
      const changes = /^(aof_current_size|master_repl_offset|rdb_changes_since_last_save):.*$/gm
      return [await redis.call('DBSIZE'), ...(info.match(changes) ?? [])]
    }
    const before = await facts()

    await readWriteState(link)

    expect(before).to.have.lengthOf(4)
    expect(await facts()).to.deep.equal(before)
  })
})
