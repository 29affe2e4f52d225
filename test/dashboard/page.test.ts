import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { stages } from '../../src/queue/jobs/names.js'
import { launchChromium } from '../helpers/launch-chromium.js'
import { hostA } from '../queue/orders.js'
import { aFailure, failConversion } from './conversions.js'
import { type DashboardFixture, startDashboardFixture } from './dashboard-fixture.js'

const SCRIPT = '<script>window.wasHit = true</script><img src=x onerror="window.wasHit = true">'

describe('fleet page', function () {
  this.timeout(60_000)
  let dashboard: DashboardFixture
  let browser: Browser
  let page: Page
  let complaints: string[]
  before(async () => {
    dashboard = await startDashboardFixture()
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    await dashboard.close()
  })
  beforeEach(async () => {
    await dashboard.redis.link.client.flushall()
    page = await browser.newPage()
    complaints = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
  })
  afterEach(async () => {
    await page.close()
  })

  it('shows a training with its progress, its host and its best F1', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.trainings.update(id, run, { state: 'running', progress: 0.42, best: { epoch: 2, f1: 0.813 } })

    await page.goto(dashboard.url)
    const row = page.locator(`[data-training="${id}"]`)
    await row.waitFor()

    expect(await row.textContent())
      .to.contain('zauberzeug/shapes#1')
      .and.contain('running')
      .and.contain('42 %')
    expect(await row.textContent())
      .to.contain('host-a')
      .and.contain('0.813')
    expect(await row.locator('progress').getAttribute('value')).to.equal('0.42')
    expect(complaints).to.eql([])
  })

  it('shows what nobody measured as unknown', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.trainings.update(id, run, { best: { epoch: null } })

    await page.goto(`${dashboard.url}/#${id}`)
    const row = page.locator(`[data-training="${id}"]`)
    await row.click()
    const best = page.locator('dd', { hasText: 'epoch' })
    await best.waitFor()

    expect(await best.textContent()).to.equal('epoch unknown, F1 unknown')
    expect(await row.textContent()).to.contain('–')
    expect(complaints).to.eql([])
  })

  it('follows the log of the chosen training', async () => {
    const { id } = await dashboard.order()
    await dashboard.trainings.appendLog(id, 'epoch 1: loss 0.9')

    await page.goto(dashboard.url)
    await page.getByRole('button', { name: 'zauberzeug/shapes#1' }).click()
    await page.getByText('epoch 1: loss 0.9').waitFor()
    await dashboard.trainings.appendLog(id, 'epoch 2: loss 0.5')
    await page.getByText('epoch 2: loss 0.5').waitFor()

    expect(await page.locator('#log').textContent()).to.equal('epoch 1: loss 0.9\nepoch 2: loss 0.5\n')
  })

  it('retries a failed training at the press of a button', async () => {
    const { id } = await dashboard.order()
    await dashboard.trainings.finish(id, null, { outcome: 'failed', errors: { run_training: 'exit code 1' } })

    await page.goto(dashboard.url)
    await page.getByRole('button', { name: 'retry' }).click()
    await page.getByRole('button', { name: 'abort' }).waitFor()

    expect(await dashboard.trainings.load(id)).to.include({ outcome: null })
  })

  it('shows the cause of a failure with the last lines of the program', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, { hostId: 'host-a' })
    const failure = {
      stage: 'train',
      code: 'LF_TRAINER_EXITED',
      message: 'The trainer ended by itself.',
      failure: 'program',
      hostId: 'host-a',
      exitCode: 3,
      signal: null,
      lastLogLines: ['loading', SCRIPT],
      at: Date.now(),
    } as const
    await dashboard.trainings.update(id, run, { facts: { failure } })
    await dashboard.trainings.finish(id, run, { outcome: 'failed', errors: { run_training: 'exit code 3' } })

    await page.goto(`${dashboard.url}/#${id}`)
    await page.getByText('The trainer ended by itself.').waitFor()

    expect(await page.locator('.failure').textContent()).to.contain('exit code 3')
    expect(await page.locator('.failure pre').textContent()).to.equal(`loading\n${SCRIPT}`)
    expect(await page.locator('.way .failed').textContent()).to.equal('trainfailed')
    expect(await page.locator('.way li').count()).to.equal(stages.length)
    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
  })

  it('counts a training that waits for a host as waiting, and not as active', async () => {
    const { id } = await dashboard.order()
    await dashboard.order({ trainingNumber: 2 }, { uuid: 'seat-b', name: 'Trainer B' })
    await dashboard.trainings.beginRun(id, hostA)

    await page.goto(dashboard.url)
    await page.locator('#tiles').getByText('waiting trainings').waitFor()

    expect(await page.locator('#tiles').textContent())
      .to.contain('1active trainings')
      .and.contain('1waiting trainings')
      .and.contain('2trainings')
  })

  it('draws the curves of a training and counts the best model by category', async () => {
    const { id, order } = await dashboard.order()
    const category = order.categories[0]?.id ?? ''
    const run = await dashboard.trainings.beginRun(id, { hostId: 'host-a' })
    for (const epoch of [1, 2, 3]) {
      const values = { 'train/loss': 3 / epoch, 'val/loss': 4 / epoch, f1: epoch / 4, [SCRIPT]: epoch }
      await dashboard.trainings.addPoints(id, [{ epoch, values }])
    }
    const classes = { [category]: { tp: 8, fp: 2, fn: 0 }, [SCRIPT]: { tp: 0, fp: 0, fn: 0 } }
    await dashboard.trainings.update(id, run, { best: { epoch: 2, f1: 0.9, classes } })

    await page.goto(`${dashboard.url}/#${id}`)
    await page.locator('.curve').first().waitFor()

    const captions = await page.locator('.curve figcaption').allTextContents()
    expect(captions).to.include('train/loss 1val/loss 1.33').and.include('f1 0.75')
    expect(await page.locator('.curve').first().locator('polyline').count()).to.equal(2)
    expect(await page.locator('#classes tbody tr').first().textContent()).to.contain('0.8001.0000.889820')
    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
    expect(complaints).to.eql([])
  })

  it('drains a host at the press of a button', async () => {
    await dashboard.fleet.announceHost({ hostId: 'host a/1', pid: 11, trainers: ['shapes'] }, { ttlMs: 60_000 })

    await page.goto(dashboard.url)
    await page.getByRole('button', { name: 'drain', exact: true }).click()
    await page.getByRole('button', { name: 'undrain' }).waitFor()

    expect(await dashboard.fleet.isDraining('host a/1')).to.equal(true)
  })

  it('shows why a model could not be converted, and tries it again at the press of a button', async () => {
    const id = await failConversion(
      dashboard.conversions,
      { modelVersion: SCRIPT },
      { ...aFailure, lastLogLines: [SCRIPT] },
    )

    await page.goto(dashboard.url)
    const row = page.locator(`[data-conversion="${id}"]`)
    await row.locator('summary').click()
    await row.getByText(SCRIPT).last().waitFor()
    expect(await row.textContent())
      .to.contain('onnx → onnx_int8')
      .and.contain(aFailure.message)
    expect(await page.evaluate('window.wasHit')).to.equal(undefined)

    await row.getByRole('button', { name: 'retry' }).click()
    await row.getByText('waiting').waitFor()
    expect(await dashboard.conversions.load(id)).to.include({ state: 'waiting' })
    expect(await dashboard.conversions.countOpen()).to.deep.equal({ waiting: { quantize: 1 }, running: 0 })
    expect(complaints).to.eql([])
  })

  it('follows the log of a conversion, as text without control sequences', async () => {
    const id = await failConversion(dashboard.conversions, {}, aFailure)
    await dashboard.conversions.appendLog(id, `\u001b[31mlayer 1\u001b[0m ${SCRIPT}\u001b]0;title\u0007\n`)

    await page.goto(dashboard.url)
    await page.locator(`[data-conversion="${id}"]`).getByRole('button', { name: 'log' }).click()
    await page.locator('#conversion-log').getByText('layer 1').waitFor()
    await dashboard.conversions.appendLog(id, 'layer 2\n')
    await page.locator('#conversion-log').getByText('layer 2').waitFor()

    expect(await page.locator('#conversion-log').textContent()).to.equal(`layer 1 ${SCRIPT}\nlayer 2\n`)
    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
    expect(complaints).to.eql([])
  })

  it('names a pattern that was switched off', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.trainings.update(id, run, {
      facts: { warnings: { run, texts: [`progress.log is off ${SCRIPT}`] } },
    })

    await page.goto(`${dashboard.url}/#${id}`)
    await page.locator('#facts').getByText(`progress.log is off ${SCRIPT}`).waitFor()

    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
  })

  it('says why a training waits', async () => {
    const { id } = await dashboard.order()
    await dashboard.fleet.announceHost({ ...HOST, trainers: ['other'] }, { ttlMs: 60_000 })
    await page.goto(dashboard.url)
    const row = page.locator(`[data-training="${id}"]`)
    await row.getByText('No host serves trainer shapes.').waitFor()

    await dashboard.fleet.announceHost({ ...HOST, hostId: 'host-b' }, { ttlMs: 60_000 })
    await row.getByText('No host serves trainer shapes.').waitFor({ state: 'detached' })

    expect(await row.textContent()).to.contain('waiting for a host')
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.trainings.update(id, run, { state: 'train_model_downloaded' })
    await row.getByText('Waits for free slots on host-a.').waitFor()
  })

  it('names the warnings of a training in the table', async () => {
    const { id } = await dashboard.order()
    const run = await dashboard.trainings.beginRun(id, hostA)
    await dashboard.trainings.update(id, run, {
      facts: { warnings: { run, texts: [`progress.log is off ${SCRIPT}`] } },
    })

    await page.goto(dashboard.url)
    await page.locator(`[data-training="${id}"] .warning`).getByText(`progress.log is off ${SCRIPT}`).waitFor()

    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
  })

  it('shows what hosts and nodes report as errors', async () => {
    const lost = `Redis came back without the record of training abc ${SCRIPT}`
    const node = { uuid: 'seat-a', name: 'Trainer A', type: 'trainer' as const, trainer: 'shapes' }
    await dashboard.fleet.announceHost({ ...HOST, errors: [`host: ${lost}`] }, { ttlMs: 60_000 })
    await dashboard.fleet.announceHost({ ...HOST, hostId: 'host-b' }, { ttlMs: 60_000 })
    await dashboard.fleet.announceNode({ ...node, errors: [`first: ${lost}`, `second: ${lost}`] }, { ttlMs: 60_000 })

    await page.goto(dashboard.url)
    await page.locator('#nodes').getByText(`second: ${lost}`).waitFor()

    expect(await page.locator('#hosts .error').allTextContents()).to.deep.equal([`host: ${lost}`])
    expect(await page.locator('#nodes .error').allTextContents()).to.deep.equal([`first: ${lost}`, `second: ${lost}`])
    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
    expect(complaints).to.eql([])
  })

  it('names the node of a queue', async () => {
    const node = { uuid: 'seat-a', name: 'Trainer A', type: 'trainer' as const }
    await dashboard.fleet.announceNode(node, { ttlMs: 60_000 })
    const { queues } = await dashboard.redis.another() // the emptied Redis has forgotten the queue's name
    await queues.add('node.seat-a', 'metrics', {}, { id: 'a' })

    await page.goto(dashboard.url)

    await page.locator('#queues').getByText('Trainer A').waitFor()
  })

  it('reports lost records instead of an empty list of trainings', async () => {
    await page.goto(dashboard.url)
    await page.locator('#trainings').getByText('No training has been ordered yet.').waitFor()
    const errors = ['Redis came back without the record of training abc']
    await dashboard.fleet.announceHost({ ...HOST, errors }, { ttlMs: 60_000 })

    await page.locator('#trainings').getByText('Redis has lost the records of trainings.').waitFor()

    expect(await page.locator('#problems').textContent()).to.contain('Redis has lost records')
  })

  it('reports that Redis refuses writes, and no longer when it takes them', async () => {
    const { client } = dashboard.redis.link
    await page.goto(dashboard.url)
    await client.config('SET', 'maxmemory', '1')
    await page.locator('#problems').getByText('takes no writes: its memory is full').waitFor()
    await client.config('SET', 'maxmemory', '0')

    await page.locator('#problems').waitFor({ state: 'hidden' })

    expect(complaints).to.eql([])
  })

  it('gives the reason of unreadable GPUs once, and what the host does not serve', async () => {
    const gpuState = { state: 'unreadable' as const, offered: [], reason: 'nvidia-smi ended with code 18' }
    const notServed = ['one', 'two'].map((name) => ({ kind: 'trainer' as const, name, reason: 'unreadable.' }))
    await dashboard.fleet.announceHost({ ...HOST, trainers: [], gpuState, notServed }, { ttlMs: 60_000 })

    await page.goto(dashboard.url)
    const host = page.locator('#hosts .host')
    await host.getByText('trainer two not served').waitFor()

    expect((await host.textContent())?.match(/ended with code 18/g)).to.have.lengthOf(1)
    expect(await host.textContent())
      .to.contain('none offered')
      .and.not.contain('CPU')
    expect(await page.locator('#tiles').textContent())
      .to.contain('1hosts with unreadable GPUs')
      .and.contain('0 of 0free places')
  })

  it('gives the reason of a lost card beside those that are offered', async () => {
    const gpuState = { state: 'gpus' as const, offered: [1], reason: 'GPU 0 is not usable: GPU is lost' }
    await dashboard.fleet.announceHost(
      { ...HOST, gpuState, gpus: [{ ...NO_FIGURES, index: 1, name: 'L4' }] },
      { ttlMs: 60_000 },
    )

    await page.goto(dashboard.url)
    await page.locator('#hosts').getByText('not all GPUs offered: GPU 0 is not usable: GPU is lost').waitFor()

    expect(await page.locator('#hosts table').textContent()).to.contain('L4')
  })

  it('asks before it aborts', async () => {
    const { id } = await dashboard.order()
    await page.goto(dashboard.url)
    page.once('dialog', (dialog) => void dialog.dismiss())
    await page.getByRole('button', { name: 'abort' }).click()
    expect(await dashboard.trainings.load(id)).to.include({ outcome: null })

    page.once('dialog', (dialog) => void dialog.accept())
    await page.getByRole('button', { name: 'abort' }).click()
    await page.getByText('aborted').waitFor()

    expect(await dashboard.trainings.load(id)).to.include({ outcome: 'aborted' })
  })

  it('shows hostile names as text', async () => {
    const { id } = await dashboard.order({ modelVariant: SCRIPT }, { uuid: 'seat-a', name: SCRIPT })
    const run = await dashboard.trainings.beginRun(id, { hostId: SCRIPT })
    await dashboard.trainings.update(id, run, { state: 'running', errors: { [SCRIPT]: SCRIPT }, modelVersion: SCRIPT })
    await dashboard.trainings.appendLog(id, SCRIPT)
    await dashboard.redis.queues.add('<img src=x onerror=hit>', SCRIPT, { text: SCRIPT }, { id: 'a' })
    const host = {
      hostId: SCRIPT,
      pid: 1,
      trainers: [SCRIPT],
      trainings: [SCRIPT],
      gpus: [{ ...NO_FIGURES, name: SCRIPT }],
    }
    await dashboard.fleet.announceHost(host, { ttlMs: 60_000 })
    await dashboard.fleet.announceNode(
      { uuid: SCRIPT, name: SCRIPT, type: 'trainer', trainer: SCRIPT },
      { ttlMs: 60_000 },
    )

    await page.goto(`${dashboard.url}/#${id}`)
    await page.locator('#log').getByText(SCRIPT).waitFor()

    expect(await page.evaluate('window.wasHit')).to.equal(undefined)
    expect(await page.locator('main script, main img').count()).to.equal(0)
    expect(await page.locator('#nodes').textContent()).to.contain(SCRIPT)
    expect(complaints).to.eql([])
  })

  it('shows bull-board without loading anything from elsewhere', async () => {
    const id = 'x.1.train'
    const { queues } = await dashboard.redis.another() // the emptied Redis has forgotten the queue's name
    await queues.add('host-a.train', 'train', {}, { id })
    const outside: string[] = []
    page.on('response', (response) => {
      if (!response.url().startsWith(dashboard.url)) outside.push(response.url())
    })

    await page.goto(`${dashboard.url}/queues/queue/host-a.train/${id}`)
    await page.getByText(id).first().waitFor()

    expect(outside).to.eql([])
    expect(await page.getByRole('button', { name: /retry|promote|remove|clean/i }).count()).to.equal(0)
  })
})

const HOST = { hostId: 'host-a', pid: 1, trainers: ['shapes'] }
const NO_FIGURES = {
  index: 0,
  utilizationPercent: null,
  memoryUsedBytes: null,
  memoryTotalBytes: null,
  temperatureCelsius: null,
  powerWatts: null,
}
