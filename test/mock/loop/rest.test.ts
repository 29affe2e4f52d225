import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import sharp from 'sharp'
import { unzipChecked } from '../../../src/base/archives/unzip.js'
import { zipStream } from '../../../src/base/zip/zip.js'
import { noiseJpeg } from '../../helpers/jpegs.js'
import { sendThenRead } from '../../helpers/send-then-read.js'
import { until } from '../../helpers/until.js'
import { filesForm, startLoop, type TestLoop } from './start-loop.js'

describe("the local Loop's REST API", () => {
  let loop: TestLoop
  const project = '/api/zauberzeug/projects/shapes'
  before(async () => {
    loop = await startLoop()
    const counts = { complete: 5, review: 1, annotate: 1, inbox: 2, box_categories: 4, point_categories: 1 }
    await loop.generate({ project_name: 'shapes', ...counts, trainings: 1, box_detections: 2 })
  })
  after(() => loop.remove())

  const imageIds = async (state: string): Promise<string[]> =>
    (await loop.call('GET', `${project}/data?state=${state}`)).json.image_ids
  const unzip = async (bytes: Buffer) => {
    const folder = await mkdtemp(join(tmpdir(), 'loopfleet-zip-'))
    await writeFile(join(folder, 'model.zip'), bytes)
    const names = await unzipChecked(join(folder, 'model.zip'), join(folder, 'model'))
    const modelJson = await readFile(join(folder, 'model/model.json'), 'utf8')
    await rm(folder, { recursive: true })
    return { names, modelJson }
  }

  it('lets clients see what it refuses, though they read only when they have sent all', async () => {
    const head = [`PUT ${project}/nowhere HTTP/1.1`, 'content-type: application/json']

    expect(await sendThenRead(loop.url, head, Buffer.alloc(80_000_000))).to.match(/^HTTP\/1\.1 413 /)
  })

  it('lists images by state, and all of them for an empty query', async () => {
    expect(await imageIds('complete')).to.have.lengthOf(5)
    expect(await imageIds('inbox')).to.have.lengthOf(2)
    const { json } = await loop.call('GET', `${project}/data?`)
    expect(json.image_ids).to.have.lengthOf(9)
    expect(json.categories.map(({ type }: { type: string }) => type)).to.have.members([
      'box',
      'box',
      'box',
      'box',
      'point',
    ])
  })

  it('hands out annotations of complete images but none of the inbox', async () => {
    const ids = [(await imageIds('complete'))[0], (await imageIds('inbox'))[0]]

    const { json } = await loop.call('GET', `${project}/images?ids=${ids.join(',')}`)

    expect(json.images[0].box_annotations).to.not.be.empty
    expect(json.images[0].resource).to.equal(`/zauberzeug/projects/shapes/images/${ids[0]}/main`)
    expect(json.images[1].box_annotations).to.deep.equal([])
  })

  it('serves an image and its thumbnail as JPEG', async () => {
    const [id] = await imageIds('complete')

    const main = await loop.call('GET', `${project}/images/${id}/main`)
    const thumb = await loop.call('GET', `${project}/images/${id}/thumb`)

    expect(await sharp(main.bytes).metadata()).to.include({ format: 'jpeg', width: 640, height: 480 })
    expect(await sharp(thumb.bytes).metadata()).to.include({ format: 'jpeg', width: 160 })
  })

  it('answers what is not there with 404 and a detail', async () => {
    const zeros = '00000000-0000-0000-0000-000000000000'
    const paths = [
      '/api/acme/projects/nothing/data?',
      `${project}/models/${zeros}/mocked/file`,
      `${project}/images/x/main`,
    ]
    for (const path of [...paths, `${project}/deployment/target`, '/api/nonsense']) {
      const { status, json } = await loop.call('GET', path)
      expect(status, path).to.equal(404)
      expect(json.detail, path).to.be.a('string')
    }
  })

  it('packs a model as flat zip with a corrected model.json', async () => {
    const path = '/api/zauberzeug/projects/demo/models/00000000-0000-0000-0000-000000000011/mocked/file'

    const { bytes, headers } = await loop.call('GET', path)

    const { names, modelJson } = await unzip(bytes)
    expect(names).to.have.members(['file_1.txt', 'file_2.txt', 'model.json'])
    expect(modelJson).to.contain('"format": "mocked"')
    expect(JSON.parse(modelJson)).to.include({ version: '1.1', organization: 'zauberzeug', project: 'demo' })
    expect(headers.get('content-disposition')).to.match(/filename="?[\w.-]+\.zip/)
  })

  it('has a training of the demo project, whose model can be downloaded in the format mocked', async () => {
    const { charts } = (await loop.call('GET', '/api/zauberzeug/projects/demo/trainings')).json
    const { model_id: id } = charts[0].data[0]

    const { status, bytes } = await loop.call('GET', `/api/zauberzeug/projects/demo/models/${id}/mocked/file`)

    expect(status).to.equal(200)
    expect(bytes.subarray(0, 2).toString()).to.equal('PK')
  })

  it('finds model 1.2 of the demo project under both ids that are known for it', async () => {
    for (const id of ['00000000-0000-0000-0000-000000000012', '917d5c7f-403d-7e92-f95f-577f79c2273a']) {
      const { status } = await loop.call('GET', `/api/zauberzeug/projects/demo/models/${id}/mocked/file`)
      expect(status).to.equal(200)
    }
  })

  it('shows a generated training with a model of format mocked', async () => {
    const charts = (await loop.call('GET', `${project}/trainings`)).json.charts
    const models = (await loop.call('GET', `${project}/models?format=mocked`)).json.models

    expect(charts[0].data[0].model_id).to.equal(models[0].id)
    expect(models[0]).to.deep.include({ version: '1.0', formats: ['mocked'] })
  })

  it('takes a zip as a new model, lists it by format, and takes a converted format for it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loopfleet-zip-'))
    const chunks: Buffer[] = []
    for await (const chunk of zipStream([{ name: 'weights.bin', data: 'w' }])) chunks.push(chunk)
    await rm(folder, { recursive: true })

    const added = await loop.call('POST', `${project}/format_a`, filesForm({ 'my_model.zip': Buffer.concat(chunks) }))
    const before = await loop.call('GET', `${project}/models?format=format_b`)
    const id: string = added.json.id
    await loop.call('PUT', `${project}/models/${id}/format_b/file`, filesForm({ 'weights.b': 'b' }))
    const after = await loop.call('GET', `${project}/models?format=format_b`)

    expect(added.status).to.equal(200)
    expect(before.json.models).to.deep.equal([])
    expect(after.json.models[0]).to.deep.include({ id, version: '2.0', formats: ['format_a', 'format_b'] })
    const zip = await unzip((await loop.call('GET', `${project}/models/${id}/format_b/file`)).bytes)
    expect(zip.names).to.have.members(['weights.b', 'model.json'])
  })

  it('refuses uploads that cannot be a model', async () => {
    const path = `${project}/models/${loop.models('zauberzeug', 'shapes')[0]?.id}/broken/file`
    const bad = [
      filesForm({ '../evil.txt': 'x' }),
      filesForm({ 'a\\b.txt': 'x' }),
      filesForm({ '.hidden': 'x' }),
      filesForm({ 'model.json': '{"categories": [{"id": 7}]}' }),
      filesForm({ 'model.json': 'no json' }),
      filesForm({ 'a.txt': 'x' }, 'file'),
      new FormData(),
    ]
    for (const form of bad) {
      const { status, json } = await loop.call('PUT', path, form)
      expect(status).to.equal(422)
      expect(json.detail).to.be.a('string')
    }
    expect(loop.effects({ kind: 'converted-model' }).filter(({ key }) => key.endsWith('/broken'))).to.deep.equal([])
  })

  it('stores detections once per image and model version, and counts each time they come', async () => {
    const [image_id] = await imageIds('complete')
    const box = {
      category_name: 'circle',
      x: 1,
      y: 2,
      width: 30,
      height: 40,
      model_name: '9.9',
      confidence: 0.9,
      category_id: '',
    }
    const none = { point_detections: [], segmentation_detections: [], classification_detections: [] }
    const entry = { image_id, box_detections: [box], ...none }

    for (const _ of [1, 2]) await loop.call('POST', `${project}/detections`, [entry])

    const { json } = await loop.call('GET', `${project}/images?ids=${image_id}&model_version=9.9`)
    expect(json.images[0].box_detections).to.have.lengthOf(1)
    expect(json.images[0].box_detections[0].category_id).to.match(/^[0-9a-f-]{36}$/)
    const effects = loop.effects({ kind: 'detections', key: `zauberzeug/shapes/${image_id}@9.9` })
    expect(effects.map(({ count }) => count)).to.deep.equal([1, 2])
    expect(effects[0]?.digest).to.equal(effects[1]?.digest)
  })

  it('refuses detections of unknown images and of wrong types', async () => {
    const [image_id] = await imageIds('complete')
    const none = {
      box_detections: [],
      point_detections: [],
      segmentation_detections: [],
      classification_detections: [],
    }
    const bad = [
      [{ ...none, image_id: 'unknown' }],
      [{ ...none, image_id: null }],
      [{ ...none }],
      [
        {
          ...none,
          image_id,
          box_detections: [
            { category_name: 'circle', x: 1.5, y: 2, width: 3, height: 4, model_name: '1', confidence: 1 },
          ],
        },
      ],
      { ...none, image_id },
      Array.from({ length: 101 }, () => ({ ...none, image_id })),
    ]
    for (const body of bad) expect((await loop.call('POST', `${project}/detections`, body)).status).to.equal(422)
    expect((await loop.call('POST', '/api/acme/projects/nothing/detections', [])).status).to.equal(404)
  })

  it('takes images of an outbox in pairs by stem, and refuses a request with a broken one as a whole', async () => {
    const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .jpeg()
      .toBuffer()
    const count = (await imageIds('inbox')).length
    const box = {
      category_name: 'star',
      x: 1,
      y: 1,
      width: 3,
      height: 3,
      model_name: '1.0',
      confidence: 0.4,
      category_id: null,
    }

    const good = filesForm({
      'image_a.jpg': jpeg,
      'image_a.json': JSON.stringify({ box_detections: [box], tags: ['new'] }),
    })
    const taken = await loop.call('POST', `${project}/images`, good)
    const half = filesForm({
      'b.json': '{"box_detections":[]}',
      'b.jpg': jpeg,
      'c.json': '{}',
      'c.jpg': jpeg.subarray(0, 50),
    })
    const refused = await loop.call('POST', `${project}/images`, half)

    expect(taken.status).to.equal(200)
    expect(refused.status).to.equal(422)
    expect(await imageIds('inbox')).to.have.lengthOf(count + 1)
    const { json } = await loop.call('GET', `${project}/images?ids=${taken.json.image_ids[0]}`)
    expect(json.images[0]).to.deep.include({ state: 'inbox', width: 8, tags: [{ id: 'new', name: 'new' }] })
    expect(json.images[0].box_detections[0].category_name).to.equal('star')
  })

  it('shows no image of an outbox before what was found in it', async () => {
    const point = { category_name: 'star', x: 1, y: 1, model_name: '7.7', confidence: 0.4, category_id: null }
    const metadata = JSON.stringify({ point_detections: [point], tags: ['found'] })
    const form = filesForm({ 'a.json': metadata, 'a.jpg': await noiseJpeg(8, 8) })
    const found = async (): Promise<number[]> => {
      const { json } = await loop.call('GET', '/api/local/zauberzeug/shapes/images?limit=200&model_version=7.7')
      const images: { tags: { name: string }[]; point_detections: unknown[] }[] = json.images
      return images.filter(({ tags }) => tags[0]?.name === 'found').map((image) => image.point_detections.length)
    }

    const uploads = Promise.all(Array.from({ length: 20 }, () => loop.call('POST', `${project}/images`, form)))
    const seen: number[] = []
    for (let count = 0; count < 20; ) {
      const now = await found()
      count = now.length
      seen.push(...now)
    }

    expect((await uploads).map(({ status }) => status)).to.deep.equal(Array(20).fill(200))
    expect(new Set(seen)).to.deep.equal(new Set([1]))
  })

  it('judges the JPEGs of an outbox as detectors and trainers do', async () => {
    const whole = await noiseJpeg(97, 61)
    const end = Buffer.from([0xff, 0xd9])
    const upload = (jpeg: Buffer) =>
      loop.call('POST', `${project}/images`, filesForm({ 'a.json': '{}', 'a.jpg': jpeg }))
    const odd = [whole.subarray(0, -2), whole.subarray(0, -1), Buffer.concat([whole, Buffer.from('trailer')])]
    const lacking = [whole.subarray(0, -20), Buffer.concat([whole.subarray(0, whole.length / 2), end])]

    for (const jpeg of odd) expect((await upload(jpeg)).status).to.equal(200)
    for (const jpeg of lacking) expect((await upload(jpeg)).status).to.equal(422)
    expect((await upload(await sharp(whole).png().toBuffer())).status).to.equal(422)
  })

  it('keeps the deployment target and shows it to detectors', async () => {
    const [model] = loop.models('zauberzeug', 'shapes')

    await loop.call('PUT', '/api/local/zauberzeug/shapes/deployment/target', { model_uuid: model?.id })

    const { json } = await loop.call('GET', `${project}/deployment/target`)
    expect(json).to.deep.include({ model_uuid: model?.id, version: model?.version })
  })

  it('judges stored boxes against what was drawn', async () => {
    const { json } = await loop.call('GET', '/api/local/zauberzeug/shapes/images?state=inbox')
    const image = json.images.find(({ truth }: { truth: unknown }) => truth !== null)
    const box_detections = image.truth.boxes.map((box: object) => ({ ...box, model_name: '7.0', confidence: 0.9 }))
    const none = { point_detections: [], segmentation_detections: [], classification_detections: [] }
    await loop.call('POST', `${project}/detections`, [{ image_id: image.id, box_detections, ...none }])

    const evaluation = (await loop.call('GET', '/api/local/zauberzeug/shapes/evaluation?model_version=7.0')).json

    expect(evaluation.sets.inbox).to.include({ images: 2, precision: 1, tp: box_detections.length })
    expect(evaluation).to.include({ images_with_detections: 1, model_version: '7.0' })
    expect(evaluation.recall).to.be.lessThan(1)
  })

  it('refuses a project that exists, a hostile name, and requests from foreign pages', async () => {
    const generator = '/api/zauberzeug/projects/generator'
    expect((await loop.call('POST', generator, { project_name: 'shapes' })).status).to.equal(409)
    for (const project_name of ['../evil', 'a/b', '..', '', 7]) {
      expect((await loop.call('POST', generator, { project_name })).status).to.equal(422)
    }
    const foreign = await loop.call('POST', generator, { project_name: 'x' }, { origin: 'http://evil.example' })
    expect(foreign.status).to.equal(403)
  })

  it('draws no further for a client that has gone, and keeps nothing of the project', async () => {
    const client = new AbortController()
    const body = JSON.stringify({ project_name: 'given-up', complete: 5000 })
    const headers = { 'content-type': 'application/json' }
    const options = { method: 'POST', headers, body, signal: client.signal }
    const asked = fetch(`${loop.url}/api/zauberzeug/projects/generator`, options).catch(String)
    const status = async () => (await loop.call('GET', '/api/zauberzeug/projects/given-up')).status
    await until('it draws', async () => (await status()) === 200)

    client.abort()

    await until('it is gone', async () => (await status()) === 404)
    expect(await asked).to.match(/AbortError/)
  })

  it('deletes a project', async () => {
    await loop.generate({ project_name: 'short-lived', complete: 1 })

    const { status } = await loop.call('DELETE', '/api/zauberzeug/projects/short-lived?keep_images=true')

    expect(status).to.equal(200)
    expect((await loop.call('GET', '/api/zauberzeug/projects/short-lived')).status).to.equal(404)
    expect((await loop.call('DELETE', '/api/zauberzeug/projects/short-lived')).status).to.equal(404)
  })

  it('serves its page with a policy that allows nothing from elsewhere', async () => {
    const { status, headers, bytes } = await loop.call('GET', '/')

    expect(status).to.equal(200)
    expect(headers.get('content-security-policy')).to.contain("default-src 'none'")
    expect(`${bytes}`).to.not.match(/https?:\/\//)
    expect((await loop.call('GET', '/page.js')).status).to.equal(200)
  })
})
