import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createTool } from '../../../src/mock/nodes/annotation-tool.js'
import type { AnnotationTool } from '../../../src/nodes/annotator/annotation-tool.js'
import { createSegmentationTool } from '../../../src/nodes/annotator/tools/segmentation/segmentation-tool.js'
import { launchChromium } from '../../helpers/launch-chromium.js'
import { iouOf } from '../../helpers/polygons.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import {
  type AnnotationLoop,
  boxAround,
  type Point,
  PROJECT,
  startAnnotationLoop,
  startAnnotator,
  type TestAnnotator,
} from '../../nodes/annotator/annotator-fixture.js'

const SCRIPT = '<script>window.wasHit = true</script><img src=x onerror="window.wasHit = true">'

describe('the annotation view of the page', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  let at: AnnotationLoop
  let browser: Browser
  let page: Page
  let complaints: string[]
  let annotator: TestAnnotator | undefined
  before(async () => {
    at = await startAnnotationLoop()
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    await at.loop.remove()
  })
  beforeEach(async () => {
    page = await browser.newPage({ viewport: { width: 1400, height: 1000 } })
    complaints = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
  })
  afterEach(async () => {
    await page.close()
    await annotator?.stop()
    annotator = undefined
  })

  const open = async (tool: AnnotationTool, image: number) => {
    annotator = await startAnnotator(at, tool, folder.path)
    await page.goto(at.loop.url)
    await page.locator(`#annotate-node option[value="${annotator.uuid}"]`).waitFor({ state: 'attached' })
    await page.locator(`#annotate-images [data-image="${at.images[image]?.id}"]`).click()
    const stage = page.locator('#annotate-stage')
    await stage.scrollIntoViewIfNeeded()
    await until('the image is shown', async () =>
      page.locator('#annotate-picture').evaluate((picture: { naturalWidth?: number }) => picture.naturalWidth === 640),
    )
    const box = await stage.boundingBox()
    if (box === null) throw new Error('the stage is not shown')
    return (point: Point): [number, number] => [
      box.x + (point.x / 640) * box.width,
      box.y + (point.y / 480) * box.height,
    ]
  }
  const drawing = async () => {
    const source = await page.locator('#annotate-drawing').getAttribute('src')
    const isHidden = await page.locator('#annotate-drawing').isHidden()
    return isHidden ? '' : decodeURIComponent(source ?? '')
  }

  it('is about the project in the address, which follows the choice of another', async () => {
    await page.goto(`${at.loop.url}/#zauberzeug/demo`)
    await page.locator('#project option').first().waitFor({ state: 'attached' })
    expect(await page.locator('#project').inputValue()).to.equal('zauberzeug/demo')

    const other = `${PROJECT.organization}/${PROJECT.project}`
    await page.locator('#project').selectOption(other)
    await page.locator(`#images img[src*="${PROJECT.project}"]`).first().waitFor()

    expect(new URL(page.url()).hash).to.equal(`#${other}`)
    expect(complaints).to.deep.equal([])
  })

  it('outlines what a person drags a box around, and shows the annotation', async () => {
    const place = await open(createSegmentationTool({}, { log: silentLogger() }), 0)
    const [image] = at.images
    const [from, to] = boxAround(image?.outline ?? [])

    await page.mouse.move(...place(from))
    await page.mouse.down()
    await page.mouse.move(...place(to), { steps: 5 })
    await until('the box is drawn', async () => (await drawing()).includes('<rect'))
    await page.mouse.up()
    await page.locator('#annotate-made li[data-annotation]').waitFor()

    await until('the outline is drawn', async () => (await drawing()).includes('<polygon'))
    expect(await page.locator('#annotate-made').textContent()).to.match(/blob\d+ points/)
    expect(await page.locator('#annotate-polygons polygon').count()).to.equal(1)
    const [annotation] = await at.annotations(image?.id ?? '')
    expect(iouOf(annotation?.shape.points ?? [], image?.outline ?? [], 640, 480)).to.be.at.least(0.85)

    await page.keyboard.press('Enter')
    await until('the drawing is gone', async () => (await drawing()) === '')
    expect(complaints).to.eql([])
  })

  it('forgets what was begun at Escape, and tells the annotator when the person leaves', async () => {
    const gone: string[] = []
    const place = await open({ ...createTool(), logout: (user) => gone.push(user) > 0 }, 1)
    await page.mouse.move(...place({ x: 100, y: 100 }))
    await page.mouse.down()
    await page.mouse.move(...place({ x: 200, y: 200 }), { steps: 3 })
    await until('the rectangle is drawn', async () => /<rect x="100" y="100" width="100"/.test(await drawing()))

    await page.keyboard.press('Escape')
    await until('the drawing is gone', async () => (await drawing()) === '')
    await page.goto('about:blank')

    await until('the annotator knows', () => gone.length === 1)
    expect(complaints).to.eql([])
  })

  it('tells what the annotator refuses, and shows hostile drawings and names as what they are', async () => {
    const hostile = `<rect width="9" height="9"/></svg>${SCRIPT}<svg onload="window.wasHit = true"><foreignObject>${SCRIPT}`
    let isBroken = false
    const tool: AnnotationTool = {
      createHistory: () => ({}),
      handleUserInput() {
        if (isBroken) throw new Error(SCRIPT)
        return { svg: hostile }
      },
    }
    const place = await open(tool, 2)

    await page.mouse.move(...place({ x: 50, y: 50 }))
    await page.mouse.down()
    await until('something is drawn', async () => (await drawing()).includes('<rect'))
    isBroken = true
    await page.mouse.up()
    await page.locator('#annotate-message').waitFor()

    expect(await page.locator('#annotate-message').textContent()).to.equal(SCRIPT)
    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
    expect(await page.locator('main script, main foreignObject, main img[src="x"]').count()).to.equal(0)
    // The page's policy refuses such handlers already where the drawing is parsed, and the browser says so.
    expect(complaints.filter((text) => !text.includes('Content Security Policy'))).to.eql([])
  })
})
