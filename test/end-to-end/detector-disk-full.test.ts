import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { execa } from 'execa'
import { detect, inboxOf, put, upload } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { until } from '../helpers/until.js'
import { plainJpeg } from '../inference/images.js'

const ROOM = 4_000_000
const MUCH_ROOM = 64_000_000

describe('A whole detector on a full disk', function () {
  this.timeout(150_000)
  let edge: Edge
  let isMounted = false
  beforeEach(async () => {
    edge = await startEdge()
    await edge.detector.end()
    const mount = ['-t', 'tmpfs', '-o', `size=${ROOM}`, 'tmpfs', edge.data]
    isMounted = (await execa('mount', mount, { reject: false })).exitCode === 0
    await edge.start()
    await limitFiles(`${ROOM / 4}`)
  })
  afterEach(async () => {
    await edge.detector.end()
    if (isMounted) await execa('umount', ['--lazy', edge.data])
    await edge.close()
  })

  it('refuses images and models with the reason, detects on, and takes them when there is room', async () => {
    await put(edge, '/outbox_mode', 'stopped')
    const large = await noiseJpeg(1200, 900, { quality: 100, chromaSubsampling: '4:4:4' })
    expect(large.length).to.be.greaterThan(ROOM / 4)
    let kept = 0
    const save = () => upload(edge, [large])
    let refused = await save()
    for (; refused.status === 200; refused = await save()) kept += 1

    expect(refused.status).to.equal(503)
    expect(refused.body.detail).to.match(/ENOSPC|EFBIG/)
    expect(Number(refused.headers.get('retry-after'))).to.be.greaterThan(0)
    const found = await detect(edge, large, { autoupload: 'all' })
    expect([found.status, found.body.box_detections?.length]).to.deep.equal([200, 0])
    const { id, version } = await edge.addModel([{ name: 'weights.bin', data: randomBytes(ROOM) }])
    await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
    await until(
      'the Loop hears of both',
      () => {
        const errors = seen()?.errors
        return errors?.outbox !== undefined && errors.update_model !== undefined
      },
      60_000,
    )
    expect(seen()?.errors.update_model).to.match(/ENOSPC|EFBIG/)
    expect((await detect(edge, await plainJpeg(64, 48, 'red'))).body.box_detections?.[0]?.model_name).to.equal('1.0')
    await everyFileIsWhole()

    await makeRoom()
    await put(edge, '/model_version', 'follow_loop')
    expect((await save()).status).to.equal(200)
    await put(edge, '/outbox_mode', 'continuous_upload')
    await until('all that was kept is sent', async () => (await inboxOf(edge)).length === kept + 1, 60_000)
    await edge.untilModel(version)
    await until('the Loop hears that all is well', () => Object.keys(seen()?.errors ?? { a: 1 }).length === 0, 60_000)
  })

  it('starts on it with the last model, and says what it cannot keep', async () => {
    await put(edge, '/outbox_mode', 'stopped')
    const large = await noiseJpeg(1200, 900, { quality: 100, chromaSubsampling: '4:4:4' })
    while ((await upload(edge, [large])).status === 200);
    await fillTheRest()
    await edge.detector.kill('SIGKILL')

    await edge.start({ env: { LOOP_HOST: '127.0.0.1:9' } }) // no Loop, so that nothing gets free
    await limitFiles('1000')
    const answer = await detect(edge, await plainJpeg(64, 48, 'red'), { autoupload: 'disabled' })
    const refused = await upload(edge, [large])
    const pinned = await fetch(`${edge.url}/model_version`, { method: 'PUT', body: 'pause' })

    expect(answer.body.box_detections?.[0]?.model_name).to.equal('1.0')
    expect(refused.status).to.equal(503)
    expect(pinned.status).to.equal(503)
    expect((await edge.about()).version_control, 'what could not be kept is not taken').to.equal('follow_loop')
  })

  const seen = () => edge.loop.nodes().find(({ id }) => id === edge.detector.facts.uuid)

  /** Where nothing may be mounted, files may not grow beyond this, whose error comes from the same calls. */
  async function limitFiles(bytes: string): Promise<void> {
    if (!isMounted) await execa('prlimit', [`--fsize=${bytes}:`, '--pid', `${edge.detector.pid}`])
  }

  async function makeRoom(): Promise<void> {
    if (isMounted) await execa('mount', ['-o', `remount,size=${MUCH_ROOM}`, edge.data])
    else await limitFiles('unlimited')
  }

  async function fillTheRest(): Promise<void> {
    if (isMounted)
      await execa('dd', ['if=/dev/zero', `of=${join(edge.data, 'others-use-it-too')}`, 'bs=4096'], { reject: false })
  }

  async function everyFileIsWhole(): Promise<void> {
    for (const name of await readdir(edge.data, { recursive: true })) {
      if (/(^|\/)\.(incoming|outgoing)-/.test(name)) continue
      if (name.endsWith('.json')) JSON.parse(await readFile(join(edge.data, name), 'utf8'))
      if (name.endsWith('.jpg')) expect((await stat(join(edge.data, name))).size, name).to.be.greaterThan(ROOM / 4)
    }
  }
})
