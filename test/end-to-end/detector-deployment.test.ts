import { expect } from 'chai'
import type { Browser } from 'playwright-core'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { launchChromium } from '../helpers/launch-chromium.js'
import { until } from '../helpers/until.js'

describe("A model deployed on the local Loop's page", function () {
  this.timeout(120_000)
  let edge: Edge
  let browser: Browser
  before(async () => {
    edge = await startEdge()
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    await edge?.close()
  })

  it('is loaded by the detector, which the page shows; and stays when it is withdrawn', async () => {
    const { version } = await edge.addModel()
    const page = await browser.newPage()
    await page.goto(edge.loop.url)
    await page.locator('#project').selectOption(`${ORGANIZATION}/${PROJECT}`)
    const row = page.locator('#models tr', { hasText: version })

    await row.getByRole('button', { name: 'deploy' }).click()
    await edge.untilModel(version)
    await page.locator('#nodes').getByText(`model ${version} · idle`).waitFor()
    await row.getByRole('button', { name: 'withdraw' }).click()
    await row.getByRole('button', { name: 'deploy' }).waitFor()

    const path = `/api/${ORGANIZATION}/projects/${PROJECT}/deployment/target`
    await until('there is no target', async () => (await fetch(`${edge.loop.url}${path}`)).status === 404)
    expect((await edge.about()).model_info).to.include({ version })
  })
})
