import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { io, type Socket } from 'socket.io-client'
import { upload } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { until } from '../helpers/until.js'
import { plainJpeg } from '../inference/images.js'

const ID = '11111111-2222-3333-4444-555555555555'

describe('A detector and clients of release 0.27.0', function () {
  this.timeout(90_000)
  let edge: Edge
  let socket: Socket | undefined
  afterEach(async () => {
    socket?.close()
    socket = undefined
    await edge.close()
  })

  // biome-ignore lint/suspicious/noExplicitAny: whatever came is looked into
  async function ask(event: string, payload: unknown): Promise<any> {
    socket ??= io(edge.url, { path: '/ws/socket.io', transports: ['websocket'], reconnection: false, forceNew: true })
    return await socket.timeout(20_000).emitWithAck(event, payload)
  }

  async function waiting(): Promise<Record<string, unknown>[]> {
    const folder = join(edge.data, 'outbox/normal')
    const names = (await readdir(folder)).sort()
    const texts = names.map((name) => readFile(join(folder, name, `image_${name}.json`), 'utf8'))
    return (await Promise.all(texts)).map((text) => JSON.parse(text))
  }

  it('finds things in JPEGs that name their format', async () => {
    edge = await startEdge()
    const image = { format: 'jpeg', bytes: await plainJpeg(64, 48, 'red') }

    const one = await ask('detect', { image, autoupload: 'disabled' })
    const batch = await ask('batch_detect', { images: [image, image], autoupload: 'disabled' })

    expect(one.box_detections).not.to.be.empty
    expect(one).to.include({ state: null })
    expect(batch.items).to.deep.equal([one, one])
  })

  it('brings state, unknown keys and category ids to the Loop', async () => {
    edge = await startEdge()
    const image = await plainJpeg(64, 48, 'red')
    const box = { category_name: 'brand new', category_id: ID, x: 1, y: 2, width: 3, height: 4 }
    await ask('set_outbox_mode', 'stopped')

    const first = await ask('upload', {
      image,
      metadata: { tags: ['x'], state: 'trash', mission: { leg: 3 }, image_id: ID },
    })
    const second = await ask('upload', { image, metadata: { box_annotations: [box] } })

    expect([first, second]).to.deep.equal([{ status: 'OK' }, { status: 'OK' }])
    const [trash, annotated] = await waiting()
    expect(trash).to.deep.include({ tags: ['x', 'picked_by_system'], state: 'trash', mission: { leg: 3 } })
    expect(trash).not.to.have.property('image_id')
    expect(annotated).to.deep.include({ box_annotations: [box], state: null })
    await ask('set_outbox_mode', 'continuous_upload')
    const path = `/api/local/${ORGANIZATION}/${PROJECT}/images?state=trash`
    await until('the Loop has it in the trash', async () => {
      const { images } = JSON.parse(await (await fetch(`${edge.loop.url}${path}`)).text())
      return images.length === 1
    })
  })

  it('keeps MAX_OUTBOX_SIZE images', async () => {
    edge = await startEdge({ env: { MAX_OUTBOX_SIZE: '2' } })
    const image = await plainJpeg(64, 48, 'red')
    await ask('set_outbox_mode', 'stopped')

    for (const source of ['a', 'b', 'c', 'd']) await upload(edge, [image], { source })

    await until('two wait', async () => (await waiting()).length === 2)
    expect((await waiting()).map(({ source }) => source)).to.deep.equal(['c', 'd'])
  })

  it('reports NODE_VERSION, and listens where NODE_HOST and NODE_PORT say', async () => {
    edge = await startEdge({ env: { NODE_VERSION: '4.2-lab', NODE_HOST: '127.0.0.2', NODE_PORT: '0' }, listen: [] })

    const node = edge.loop.nodes().find(({ type }) => type === 'detector')

    expect(node?.status).to.include({ node_version: '4.2-lab' })
    expect(edge.detector.facts.url).to.match(/^http:\/\/127\.0\.0\.2:\d+$/)
    expect((await fetch(`${edge.detector.facts.url}/about`)).status).to.equal(200)
  })
})
