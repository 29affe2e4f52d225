import { join } from 'node:path'
import { expect } from 'chai'
import sharp from 'sharp'
import { runCli } from '../helpers/cli-process.js'
import { type Edge, type EdgeOptions, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'

const READY = /^loopfleet detector is ready \{/m

describe('loopfleet detector', function () {
  this.timeout(120_000)
  let edge: Edge
  const start = async (options: EdgeOptions = {}) => {
    edge = await startEdge(options)
  }

  for (const dialect of ['0.8', 'current'] as const) {
    describe(`in dialect ${dialect}`, () => {
      before(() => start({ dialect }))
      after(() => edge.close())

      it('sends back the images that the Loop should learn from', async () => {
        await detect(sure, { 'camera-id': 'front' })
        await detect(unsure, { 'camera-id': 'front', tags: 'night' })
        await detect(unsure, { 'camera-id': 'front' }) // seen before

        const tags = dialect === '0.8' ? ['front', 'night', 'uncertain'] : ['night', 'uncertain']
        await until('the Loop has an image', async () => (await inbox()).length > 0, 30_000)
        expect(await inbox()).to.deep.equal([{ tags, version: '1.0' }])
      })

      it('loads what the Loop deploys, and the next model when that changes', async () => {
        expect((await detect(sure)).body.box_detections[0]).to.include({ category_name: 'circle', model_name: '1.0' })

        const { id, version } = await edge.addModel()
        await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
        await edge.untilModel(version)

        expect((await detect(sure)).body.box_detections[0].model_name).to.equal(version)
        await until('the Loop knows it', () => seen()?.status.current_model === version, 20_000)
        expect(seen()).to.include({ dialect, connected: true, type: 'detector' })
      })
    })
  }

  describe('once it serves', () => {
    before(() => start({ dialect: '0.8' }))
    after(() => edge.close())

    it('keeps a bad model away, says so, and goes on with the old one', async () => {
      const bad = new FormData()
      bad.append('files', new Blob([await zipOf('model.onnx', 'no model at all')]), 'bad.zip')
      const path = `/api/${ORGANIZATION}/projects/${PROJECT}/onnx`
      const { id } = JSON.parse(await (await fetch(`${edge.loop.url}${path}`, { method: 'POST', body: bad })).text())

      await edge.loop.setTarget(ORGANIZATION, PROJECT, id)

      await until('the Loop hears of it', () => seen()?.errors.update_model, 30_000)
      expect((await detect(sure)).body.box_detections[0].model_name).to.equal('1.0')
    })

    it('has no backdoor unless it is told so', async () => {
      expect((await fetch(`${edge.url}/reset`, { method: 'POST' })).status).to.equal(404)
    })

    it('lets no second detector on its folder', async () => {
      const failure = await edge.start().catch(String)

      expect(failure).to.match(/LF_FOLDER_LOCKED/)
    })

    it('restarts when the Loop asks for it, in dialect 0.8', async () => {
      const id = await until('the Loop sees it', () => seen()?.id)

      await fetch(`${edge.loop.url}/api/local/nodes/${id}/restart`, { method: 'POST' })

      expect(await edge.detector.exited).to.include({ exitCode: 0 })
    })
  })

  describe('that starts', () => {
    afterEach(() => edge.close())

    it('without the Loop is ready with the model on its disk, and brings what waited when the Loop is back', async () => {
      await start()
      await untilReady()
      await edge.stopLoop()
      await edge.detector.kill('SIGKILL')

      await edge.start()
      await untilReady()
      const answer = await detect(unsure)
      expect(answer.body.box_detections[0].model_name).to.equal('1.0')
      await edge.startLoop()

      await until('the Loop has the image', async () => (await inbox()).length === 1, 60_000)
      await until('the Loop sees the detector', () => seen()?.status.current_model === '1.0', 30_000)
    })

    it('says 503 and when to come again until it has a model', async () => {
      await start({ deploys: false, waitForModel: false })

      const answer = await detect(sure)

      expect(answer.status).to.equal(503)
      expect(answer.body.detail).to.be.a('string')
      expect(Number(answer.headers.get('retry-after'))).to.be.greaterThan(0)
      expect(await edge.detector.log())
        .to.include('loopfleet detector is waiting: no model')
        .and.not.match(READY)

      await edge.loop.setTarget(ORGANIZATION, PROJECT, (await edge.addModel()).id)
      await untilReady()
      expect((await detect(sure)).status).to.equal(200)
    })

    it('again keeps a pinned version', async () => {
      await start()
      const { id, version } = await edge.addModel()
      expect((await put('/model_version', version)).status).to.equal(200)
      await edge.untilModel(version)

      await edge.detector.end()
      await edge.start()

      expect((await edge.about()).version_control).to.equal('specific_version')
      await edge.untilModel(version)
      expect(id).to.be.a('string')
      expect((await put('/model_version', '99.9')).status).to.equal(400)
    })

    it('is paused where VERSION_CONTROL_DEFAULT says so, and follows when it is told to', async () => {
      await start({ env: { VERSION_CONTROL_DEFAULT: 'Pause' }, waitForModel: false })
      await until('the Loop has told its target', () => seen() !== undefined, 30_000)
      expect(await edge.about()).to.include({ version_control: 'pause', model_info: null })

      await put('/model_version', 'follow_loop')

      await edge.untilModel('1.0')
    })

    it('with the backdoor wipes everything by it', async () => {
      await start({ env: { USE_BACKDOOR_CONTROLS: '1' } })
      await put('/outbox_mode', 'stopped')
      await upload()
      const reset = await fetch(`${edge.url}/reset`, { method: 'POST' })

      expect([reset.status, await reset.json()]).to.deep.equal([200, true])
      await edge.untilModel('1.0')
      expect(await (await fetch(`${edge.url}/metrics`)).text()).to.contain('outbox_normal 0')
      expect((await put('/debug_logging', 'on')).status).to.equal(200)
      expect((await put('/socketio', 'maybe')).status).to.equal(400)
    })
  })

  const untilReady = () => until('it is ready', async () => READY.test(await edge.detector.log()), 30_000)
  const seen = () => edge.loop.nodes().find(({ type }) => type === 'detector')

  async function detect(image: () => Promise<Buffer>, headers: Record<string, string> = {}) {
    const body = new FormData()
    body.append('file', new Blob([new Uint8Array(await image())]), 'image.jpg')
    const answer = await fetch(`${edge.url}/detect`, { method: 'POST', body, headers })
    return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) }
  }

  async function upload(): Promise<number> {
    const body = new FormData()
    body.append('files', new Blob([new Uint8Array(await sure())]), 'image.jpg')
    return (await fetch(`${edge.url}/upload`, { method: 'POST', body })).status
  }

  async function put(path: string, body: string): Promise<Response> {
    return await fetch(`${edge.url}${path}`, { method: 'PUT', body })
  }

  type Seen = { readonly tags: readonly string[]; readonly version: string | undefined }

  async function inbox(): Promise<Seen[]> {
    const path = `/api/local/${ORGANIZATION}/${PROJECT}/images?state=inbox&limit=200&model_version=1.0`
    const { images } = JSON.parse(await (await fetch(`${edge.loop.url}${path}`)).text())
    type Image = { tags: { name: string }[]; box_detections: { model_name: string }[] }
    return images.map(({ tags, box_detections }: Image) => ({
      tags: tags.map(({ name }) => name).sort(),
      version: box_detections[0]?.model_name,
    }))
  }
})

describe('loopfleet detector refuses to start', () => {
  const folder = useTemporaryFolder()

  async function refusal(env: Record<string, string>, args: readonly string[] = []): Promise<string> {
    const complete = { PATH: process.env.PATH ?? '', LOOP_ORGANIZATION: 'acme', LOOP_PROJECT: 'demo', ...env }
    const command = ['detector', '--data', join(folder.path, 'data'), '--port', '0', ...args] as const
    const { exitCode, output } = await runCli({ args: command, env: complete, logFile: join(folder.path, 'log') })
    expect(exitCode).to.equal(2)
    expect(output.trim().split('\n'), 'one sentence').to.have.lengthOf(1)
    return output
  }

  it('without organization or project, naming what is missing', async () => {
    expect(await refusal({ LOOP_PROJECT: '' })).to.contain('set LOOP_PROJECT.')
    expect(await refusal({ LOOP_ORGANIZATION: '', LOOP_PROJECT: '' })).to.contain('LOOP_ORGANIZATION and LOOP_PROJECT')
    expect(await refusal({ LOOP_PROJECT: '../demo' })).to.match(/LOOP_PROJECT is no id of the Loop.*"\.\.\/demo"/)
    expect(await refusal({ LOOP_ORGANIZATION: '..' })).to.contain('LOOP_ORGANIZATION is no id of the Loop')
  }).timeout(60_000)

  it('with thresholds that make no range, or a backend without its file', async () => {
    const range = { MIN_UNCERTAIN_THRESHOLD: '0.7', MAX_UNCERTAIN_THRESHOLD: '0.6' }
    expect(await refusal(range)).to.contain('0.7')
    expect(await refusal({ MIN_UNCERTAIN_THRESHOLD: '30' })).to.contain('from 0 to 1')
    expect(await refusal({}, ['--backend', 'module'])).to.contain('--module')
    expect(await refusal({}, ['--program', 'python3', '--backend', 'onnx'])).to.contain('--program')
  }).timeout(60_000)
})

/** A red object: the model is sure of it. */
function sure(): Promise<Buffer> {
  return onBlack('#ff0000', 160)
}

/** A dark red object: a confidence of about 0.45. */
function unsure(): Promise<Buffer> {
  return onBlack('#730000', 320)
}

async function onBlack(color: string, left: number): Promise<Buffer> {
  const input = { create: { width: 80, height: 80, channels: 3 as const, background: color } }
  return await sharp({ create: { width: 640, height: 480, channels: 3, background: '#000000' } })
    .composite([{ input, left, top: 160 }]) // one cell of the model
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

async function zipOf(name: string, data: string): Promise<Uint8Array<ArrayBuffer>> {
  const { zipStream } = await import('../../src/base/zip/zip.js')
  const { buffer } = await import('node:stream/consumers')
  return new Uint8Array(await buffer(zipStream([{ name, data }])))
}
