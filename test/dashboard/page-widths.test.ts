import { expect } from 'chai'
import type { Browser } from 'playwright-core'
import { launchChromium } from '../helpers/launch-chromium.js'
import { failConversion } from './conversions.js'
import { type DashboardFixture, startDashboardFixture } from './dashboard-fixture.js'

const HOSTS = ['gpu-worker-01', 'gpu-worker-02', 'gpu-worker-03']
const BUSY_GPU = {
  name: 'NVIDIA GeForce RTX 4090',
  utilizationPercent: 100,
  memoryUsedBytes: 24_564 * 2 ** 20,
  memoryTotalBytes: 24_564 * 2 ** 20,
  temperatureCelsius: 85,
  powerWatts: 450,
}
const TOO_WIDE = `[...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth)
  .map((one) => one.id || one.parentElement.className)`

describe('fleet page with hosts of four GPUs', function () {
  this.timeout(60_000)
  let dashboard: DashboardFixture
  let browser: Browser
  let id: string
  before(async () => {
    dashboard = await startDashboardFixture()
    browser = await launchChromium()
    id = (await dashboard.order({ project: 'street-signs' })).id
    const run = await dashboard.trainings.beginRun(id, { hostId: 'gpu-worker-01' })
    const errors = { run_training: 'The trainer exited with code 1: out of memory' }
    const best = { epoch: 2, f1: 0.813 }
    await dashboard.trainings.update(id, run, { state: 'running', progress: 1, best, errors })
    await failConversion(dashboard.conversions)
    const gpus = [0, 1, 2, 3].map((index) => ({ ...BUSY_GPU, index }))
    for (const hostId of HOSTS) {
      const host = { hostId, pid: 1, trainers: ['shapes'], trainings: [id], gpus }
      await dashboard.fleet.announceHost(host, { ttlMs: 60_000 })
    }
  })
  after(async () => {
    await browser?.close()
    await dashboard.close()
  })

  for (const width of [390, 800, 890, 1050, 1440]) {
    it(`shows every column at a width of ${width} pixels without scrolling sideways`, async () => {
      const page = await browser.newPage({ viewport: { width, height: 800 } })

      await page.goto(`${dashboard.url}/#${id}`)
      await page.locator('[data-conversion]').waitFor()
      await page.locator('#hosts table').nth(2).waitFor()

      expect(await page.evaluate(TOO_WIDE)).to.deep.equal([])
      expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(width)
      await page.close()
    })
  }
})
