import { expect } from 'chai'
import { stepJobSchema } from '../../src/queue/jobs/job-schemas.js'
import { type DashboardFixture, startDashboardFixture } from './dashboard-fixture.js'

describe('queues on the dashboard', () => {
  let dashboard: DashboardFixture
  before(async () => {
    dashboard = await startDashboardFixture()
  })
  after(() => dashboard.close())

  async function boardQueues(): Promise<{ name: string; readOnlyMode: boolean; allowRetries: boolean }[]> {
    const response = await fetch(`${dashboard.url}/queues/api/queues`)
    const { queues } = (await response.json()) as { queues: never[] }
    return queues
  }

  it('shows queues that appear while it runs, all of them for looking only', async () => {
    expect(await boardQueues()).to.eql([])
    await dashboard.redis.queues.add('host-a.upload', 'upload-model', {}, { id: 'x.1.upload-model' })
    await dashboard.redis.queues.add('host-a.train', 'train', {}, { id: 'x.1.train' })

    const queues = await boardQueues()

    expect(queues.map(({ name }) => name)).to.have.members(['host-a.upload', 'host-a.train'])
    for (const queue of queues) expect(queue).to.include({ readOnlyMode: true, allowRetries: false })
  })

  it('draws the progress of a step in percent', async () => {
    const { queues } = dashboard.redis
    const figures = { gpus: null, process: null }
    const consumer = queues.consume('host-b.train', (job) => job.updateProgress({ progress: 0.64, ...figures }), {
      concurrency: 1,
      schema: stepJobSchema,
    })
    await queues.runJob('host-b.train', 'train', { id: 'x', run: 1, step: 'train' }, { id: 'x.1.train' })
    await consumer.close()

    const response = await fetch(`${dashboard.url}/queues/api/queues/host-b.train/x.1.train`)

    expect(await response.json())
      .to.have.nested.property('job.progress')
      .that.eql({ progress: 64, ...figures })
  })

  const changes = [
    ['PUT', '/queues/api/queues/host-a.train/x.1.train/retry/failed'],
    ['PUT', '/queues/api/queues/host-a.train/x.1.train/promote'],
    ['PUT', '/queues/api/queues/host-a.train/x.1.train/clean'],
    ['PUT', '/queues/api/queues/host-a.train/empty'],
    ['PUT', '/queues/api/queues/host-a.train/obliterate'],
    ['PUT', '/queues/api/queues/pause'],
    ['POST', '/queues/api/queues/host-a.train/add'],
    ['PATCH', '/queues/api/queues/host-a.train/x.1.train/update-data'],
  ] as const
  for (const [method, path] of changes) {
    it(`refuses ${method} ${path}`, async () => {
      const response = await fetch(`${dashboard.url}${path}`, { method })

      expect(response.status).to.be.oneOf([404, 405])
      expect(await dashboard.redis.queues.counts('host-a.train')).to.include({ waiting: 1 })
    })
  }

  it('lets the browser load nothing from elsewhere', async () => {
    const response = await fetch(`${dashboard.url}/queues`)

    expect(response.status).to.equal(200)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).to.contain("default-src 'none'").and.contain("font-src 'self'")
    expect(policy).not.to.match(/https?:|\*|script-src[^;]*unsafe/)
  })
})
