import { expect } from 'chai'
import { z } from 'zod'
import { type Answer, answerSchema } from '../../src/loop/protocol/index.js'
import {
  environmentOf,
  ORGANIZATION,
  PROJECT,
  type PythonNodeAtLoop,
  startPythonNodeAtLoop,
  untilSeen,
} from './python-training.js'

const releases = [
  { version: '0.8.2', name: '0.8.2', dataFolderBy: 'argument' },
  { version: '0.27.0', name: 'newest', dataFolderBy: 'environment' },
] as const

for (const release of releases) {
  describe(`an annotator of the Python library ${release.version} at a local Loop`, function () {
    this.timeout(90_000)
    let annotator: PythonNodeAtLoop
    let nodeId: string
    let imageId: string
    before('installs the library and starts it', async function () {
      this.timeout(1_200_000)
      await environmentOf(release)
      annotator = await startPythonNodeAtLoop(release, { kind: 'annotator', script: 'small_annotator' })
      const seen = () => annotator.loop.nodes().find(({ type }) => type === 'annotation_node')
      nodeId = (await untilSeen(annotator, seen)).id
      const { image_ids } = await read(`/api/${ORGANIZATION}/projects/${PROJECT}/data`)
      imageId = image_ids[0]
    })
    after(() => annotator?.remove())

    // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
    const read = async (path: string): Promise<any> => (await annotator.ask(path)).json()
    const tell = async (path: string, body: object): Promise<Answer> => {
      const init = { method: 'POST', body: JSON.stringify(body) }
      const response = await annotator.ask(`/api/local/nodes/${nodeId}/${path}`, init)
      return z.object({ ack: answerSchema }).parse(await response.json()).ack
    }
    const input = async (eventType: string, x: number, y: number, more: object = {}) => {
      const [category] = (await read(`/api/${ORGANIZATION}/projects/${PROJECT}/data`)).categories
      const context = { organization: ORGANIZATION, project: PROJECT }
      const data = { coordinate: { x, y }, event_type: eventType, context, image_uuid: imageId, category, ...more }
      return await tell('user-input', { frontend_id: 'anna', data })
    }

    it('shows itself with its state and what it can do', () => {
      expect(annotator.loop.node(nodeId)).to.deep.include({ name: 'small annotator', state: 'online' })
      expect(annotator.loop.node(nodeId)?.status).to.deep.include({ capabilities: ['segmentation'], errors: {} })
    })

    it('draws while a person drags, and its annotation is kept', async () => {
      const down = await input('left_mouse_down', 100, 50)
      const moved = await input('mouse_move', 140, 80)
      const released = await input('left_mouse_up', 160, 90)

      expect(down).to.include({ success: true, error_msg: null })
      expect(moved.payload).to.equal('<rect x="100" y="50" width="40" height="30" />')
      expect(released.payload).to.equal('<rect x="100" y="50" width="60" height="40" />')
      const [image] = (await read(`/api/${ORGANIZATION}/projects/${PROJECT}/images?ids=${imageId}`)).images
      expect(image.segmentation_annotations).to.deep.include({
        id: 'by-anna',
        image_id: imageId,
        category_id: (await read(`/api/${ORGANIZATION}/projects/${PROJECT}/data`)).categories[0].id,
        shape: { points: [at(100, 50), at(160, 50), at(160, 90), at(100, 90)] },
      })
    })

    it('answers its errors, Escape and logout in envelopes', async () => {
      const escaped = await input('key_up', 0, 0, { key_up: 'Escape' })
      const broken = await input('mouse_move', 1, 1) // its history is gone
      const float = await input('left_mouse_down', 1.5, 1)

      expect(escaped).to.include({ success: true, payload: '' })
      expect(broken).to.include({ success: false })
      expect(float).to.include({ success: false })
      expect(await tell('user-logout', { frontend_id: 'anna' })).to.include({ success: true })
      expect(await tell('user-logout', { frontend_id: 'otto' })).to.include({ success: false })
    })
  })
}

function at(x: number, y: number) {
  return { x, y }
}
