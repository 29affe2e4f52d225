import { expect } from 'chai'
import { type DashboardFixture, startDashboardFixture } from './dashboard-fixture.js'

describe('the dashboard while Redis withholds writes', function () {
  this.timeout(40_000)
  let dashboard: DashboardFixture
  before(async () => {
    dashboard = await startDashboardFixture()
  })
  after(() => dashboard.close())
  beforeEach(() => dashboard.redis.link.client.call('CLIENT', 'PAUSE', '600000', 'WRITE'))
  afterEach(() => dashboard.redis.link.client.call('CLIENT', 'UNPAUSE'))

  async function ask(path: string, method = 'GET') {
    const askedAt = performance.now()
    const response = await fetch(`${dashboard.url}${path}`, { method })
    return { status: response.status, text: await response.text(), seconds: (performance.now() - askedAt) / 1000 }
  }

  for (const path of ['/api/fleet', '/api/redis', '/metrics', '/api/trainings']) {
    it(`answers ${path}`, async () => {
      const { status, seconds } = await ask(path)

      expect(status).to.equal(200)
      expect(seconds).to.be.below(3)
    })
  }

  it('names the state', async () => {
    const { redis } = JSON.parse((await ask('/api/redis')).text)

    expect(redis).to.include({ takesWrites: false, code: 'WITHHELD' })
    expect((await ask('/metrics')).text).to.contain('loopfleet_redis_refuses_writes{code="WITHHELD"} 1')
  })

  it('shows no queues, since reading them waits as writes do, and says so', async () => {
    const { status, text, seconds } = await ask('/queues/')

    expect(status).to.equal(503)
    expect(text).to.contain('it withholds them')
    expect(seconds).to.be.below(3)
  })

  for (const [index, action] of ['stop', 'abort', 'retry'].entries()) {
    it(`refuses to ${action}, and does not do it later`, async () => {
      await dashboard.redis.link.client.call('CLIENT', 'UNPAUSE')
      const { id } = await dashboard.order({ trainingNumber: index + 1 })
      await dashboard.redis.link.client.call('CLIENT', 'PAUSE', '600000', 'WRITE')

      const { status, text, seconds } = await ask(`/api/trainings/${id}/${action}`, 'POST')
      await dashboard.redis.link.client.call('CLIENT', 'UNPAUSE')
      await dashboard.redis.link.client.set('behind', '1')

      expect(status).to.equal(503)
      expect(text).to.contain('takes no writes: it withholds them')
      expect(seconds).to.be.below(4)
      expect((await dashboard.trainings.load(id))?.outcome).to.equal(null)
      expect(await dashboard.trainings.pending(id)).to.equal(null)
      await dashboard.trainings.finish(id, null, { outcome: 'aborted' })
    })
  }
})
