import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { execa } from 'execa'
import { packageRoot } from '../cli/run-cli.js'
import { detectionsKeys } from '../contract/wire-keys.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { PYTHON_BYTECODE } from '../helpers/python-environment.js'
import { preparedPython } from '../helpers/python-environments.js'
import { until } from '../helpers/until.js'
import { redOnGreen } from '../inference/images.js'

const clients = new URL('../detector/clients/', import.meta.url)

describe('clients written for the old detector', function () {
  this.timeout(120_000)
  let python: string
  let edge: Edge
  let image: string
  before('installs python-socketio and requests', async function () {
    this.timeout(600_000)
    python = await preparedPython('detector clients')
  })

  async function start(dialect: '0.8' | 'current'): Promise<void> {
    edge = await startEdge({ dialect })
    image = join(edge.folder, 'image.jpg')
    await writeFile(image, await redOnGreen(640, 480, { left: 200, top: 160, width: 160, height: 80 }))
  }

  async function run(script: string) {
    const args = [fileURLToPath(new URL(script, clients)), edge.url, image]
    const { stdout } = await execa(python, args, { cwd: edge.folder, env: PYTHON_BYTECODE })
    return JSON.parse(stdout)
  }

  const inbox = async () => {
    const path = `/api/local/${ORGANIZATION}/${PROJECT}/images?state=inbox`
    const { images }: { images: { tags: { name: string }[]; source: string | null }[] } = JSON.parse(
      await (await fetch(`${edge.loop.url}${path}`)).text(),
    )
    return images.map(({ tags, source }) => ({ tags: tags.map(({ name }) => name).sort(), source }))
  }

  describe('in dialect 0.8', () => {
    before(() => start('0.8'))
    after(() => edge.close())

    it('are answered: a robot that sends JPEG bytes', async () => {
      const { found, info, failed, upload } = await run('robot_0_8.py')

      expect(found).to.have.all.keys(detectionsKeys['0.8'])
      expect(found.box_detections[0]).to.include({ category_name: 'circle', model_name: '1.0' })
      expect(info).to.include({ organization: ORGANIZATION, project: PROJECT, version: '1.0' })
      expect(failed).to.have.all.keys('error')
      expect(upload).to.equal(null)
      await until('the Loop has the images', async () => (await inbox()).length === 3, 30_000)
      expect((await inbox()).map(({ tags }) => tags)).to.deep.include.members([
        ['11:22:33', 'wheel'],
        ['picked_by_system'],
        ['picked_by_system'],
      ])
    })
  })

  describe('in the current dialect', () => {
    before(() => start('current'))
    after(() => edge.close())

    it('are answered: raw arrays, batches, metadata and modes', async () => {
      const answers = await run('client_current.py')

      expect(answers.detect).to.deep.include({ tags: ['night'], source: 'robot', created: null })
      expect(answers.detect.box_detections[0]).to.include({ category_name: 'circle', model_name: '1.0' })
      expect(answers.batch.items).to.have.lengthOf(3)
      expect(answers.batch.items[0].box_detections).to.deep.equal(answers.detect.box_detections)
      expect(answers.upload).to.deep.equal({ status: 'OK' })
      expect(answers.about).to.deep.include({ operation_mode: 'idle', state: 'online', version_control: 'follow_loop' })
      expect(answers.version).to.deep.include({ current_version: '1.0', loop_version: '1.0', local_versions: ['1.0'] })
      expect(answers.outbox).to.deep.equal({ outbox_mode: 'continuous_upload' })
      for (const key of ['pause', 'stop', 'go']) expect(answers[key], key).to.deep.equal({ status: 'OK' })
      for (const key of ['bad_version', 'bad_outbox', 'no_image']) expect(answers[key], key).to.have.all.keys('error')
      await until('the Loop has the upload', async () => (await inbox()).length === 1, 30_000)
      expect((await inbox())[0]?.tags).to.deep.equal(['own', 'picked_by_system'])
    })

    it('are the examples of the guide', async () => {
      const page = await readFile(join(packageRoot, 'docs/guides/detector-at-the-edge.md'), 'utf8')
      const blocks = [...page.matchAll(/^```(bash|python)\n(.*?)^```/gms)]
      expect(blocks).to.have.lengthOf(7)

      for (const [, language, block = ''] of blocks) {
        const here = block.replaceAll('http://localhost:8004', edge.url).replaceAll('curl ', 'curl -fsS ')
        const [program, args] = language === 'bash' ? ['bash', ['-euc', here]] : [python, ['-c', here]]
        const { stdout } = await execa(program as string, args as string[], { cwd: edge.folder, env: PYTHON_BYTECODE })

        expect(stdout, block).not.to.be.empty
        expect(stdout, block).not.to.contain('error')
      }
    })
  })
})
