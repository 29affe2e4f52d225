import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { expect } from 'chai'
import sharp from 'sharp'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import { environmentOf, type PythonNodeAtLoop, startPythonNodeAtLoop, untilSeen } from './python-training.js'
import { saved } from './wire-reading.js'

const older = { version: '0.8.2', name: '0.8.2', dataFolderBy: 'argument' } as const
const newest = { version: '0.27.0', name: 'newest', dataFolderBy: 'environment' } as const
const DEMO = ['zauberzeug', 'demo'] as const

describe('other nodes of the Python library at a local Loop', () => {
  before('installs the library', async function () {
    this.timeout(1_200_000)
    await environmentOf(older)
    await environmentOf(newest)
  })

  it('include a converter of 0.8.2, which adds a format to every model that lacks it', async function () {
    this.timeout(60_000)
    const converter = await startPythonNodeAtLoop(older, { kind: 'converter' })
    const { loop, ask, dataFolder, remove } = converter
    try {
      const lacking = () => loop.models(...DEMO).filter(({ formats }) => !formats.includes('small_export'))
      await untilSeen(converter, () => lacking().length === 0 || undefined)

      const [model] = loop.models(...DEMO)
      const folder = join(dataFolder, 'unpacked')
      const zip = await ask(`/api/zauberzeug/projects/demo/models/${model?.id}/small_export/file`)
      const names = await unzipChecked(await saved(zip, `${folder}.zip`), folder)
      expect(names).to.have.members(['exported.txt', 'model.json'])
      expect(await readFile(join(folder, 'exported.txt'), 'utf8')).to.equal('CONTENT OF FILE ONE')
      expect(await readFile(join(folder, 'model.json'), 'utf8')).to.include('"format": "small_export"')
    } finally {
      await remove()
    }
  })

  for (const release of [older, newest]) {
    it(`include a detector of ${release.version}, which loads the target model and sends images from its outbox`, async function () {
      this.timeout(60_000)
      const env = { LOOP_ORGANIZATION: DEMO[0], LOOP_PROJECT: DEMO[1], NODE_VERSION: '1.2.3' }
      const detector = await startPythonNodeAtLoop(release, { kind: 'detector', env })
      const { loop, remove } = detector
      try {
        await untilSeen(detector, () => loop.nodes().find(({ status }) => status.current_model === '1.1'))
        const found = await detect(detector, await sharp({ create: GREY }).jpeg().toBuffer())
        await untilSeen(detector, () => loop.effects({ kind: 'image-upload' }).at(0))

        expect(found).to.nested.include({ 'box_detections[0].model_name': '1.1', 'box_detections[0].width': 64 })
        expect(loop.effects({ kind: 'image-upload' })).to.have.lengthOf(1)
      } finally {
        await remove()
      }
    })
  }
})

const GREY = { width: 64, height: 48, channels: 3, background: '#808080' } as const

/** Lets the detector look at an image and upload it, by its HTTP API. */
function detect({ dataFolder }: PythonNodeAtLoop, jpeg: Buffer): Promise<unknown> {
  const head =
    '--part\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
  const body = Buffer.concat([Buffer.from(head), jpeg, Buffer.from('\r\n--part--\r\n')])
  const headers = {
    'content-type': 'multipart/form-data; boundary=part',
    'content-length': body.length,
    autoupload: 'all',
  }
  return new Promise((resolve, reject) => {
    const socketPath = join(dataFolder, 'http.sock')
    const asked = request({ socketPath, path: '/detect', method: 'POST', headers, agent: false })
    asked.on('error', reject).on('response', (response) => json(response).then(resolve, reject))
    asked.end(body)
  })
}
