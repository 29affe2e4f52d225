import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { launchChromium } from '../../helpers/launch-chromium.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { redOnGreen } from '../../inference/images.js'
import { type DetectorFixture, startDetectorFixture } from '../detector-fixture.js'

describe("The detector's OpenAPI page", function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  let fixture: DetectorFixture
  let browser: Browser
  let page: Page
  before(async () => {
    fixture = await startDetectorFixture()
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    await fixture.close()
  })
  beforeEach(async () => {
    page = await browser.newPage()
  })
  afterEach(() => page.close())

  it('sends an image and shows what was found, without loading anything from elsewhere', async () => {
    const image = join(folder.path, 'image.jpg')
    await writeFile(image, await redOnGreen(64, 48, { left: 16, top: 16, width: 24, height: 16 }))
    const outside: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => {
      const isLocal = request.url().startsWith(fixture.url) || /^(data|blob):/.test(request.url())
      if (!isLocal) outside.push(request.url())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })

    await page.goto(`${fixture.url}/docs`)
    const call = page.locator('.opblock', { hasText: '/detect' }).first()
    await call.locator('.opblock-summary').click()
    await call.locator('input[type=file]').setInputFiles(image)
    await call.getByRole('button', { name: 'Execute' }).click()
    const answer = call.locator('.live-responses-table .response-col_description code').first()
    await answer.waitFor({ timeout: 30_000 })

    expect(await call.locator('.live-responses-table .response-col_status').last().textContent()).to.contain('200')
    expect(await answer.textContent()).to.contain('"category_name": "A"')
    expect(outside).to.deep.equal([])
    expect(complaints).to.deep.equal([])
  })

  it('describes every call and every answer of the REST API', async () => {
    const description = JSON.parse(await (await fetch(`${fixture.url}/openapi.json`)).text())

    expect(description.openapi).to.match(/^3\./)
    expect(description.paths).to.include.all.keys(
      '/detect',
      '/upload',
      '/operation_mode',
      '/about',
      '/model_version',
      '/outbox_mode',
      '/health',
      '/health/live',
      '/health/ready',
      '/metrics',
    )
    expect(description.paths['/detect'].post.responses).to.include.all.keys('200', '400', '413', '422', '503')
    const found = description.paths['/detect'].post.responses['200'].content['application/json'].schema
    expect(found.properties).to.include.all.keys('box_detections', 'tags', 'created', 'source')
    expect(found.properties.box_detections.items.properties).to.include.all.keys('category_name', 'confidence', 'x')
    expect(found.properties.tags).to.deep.equal({ type: 'array', items: { type: 'string' } })
    expect(JSON.stringify(description)).not.to.contain(String(Number.MAX_SAFE_INTEGER))
  })
})
